"""Differentiating the solution of a minimisation by what it is, not by how it was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from metann.errors import ArgumentError, ThirdOrderError
from metann.meta.linear_solvers import LinearSolver, conjugate_gradient
from metann.meta.steps import are_none

# The loss () or (T,) of params; it may close over whatever has a gradient.
InnerObjective = Callable[[list[Tensor]], Tensor]


def implicit_solution(
    objective: InnerObjective,
    solution: Sequence[Tensor],
    *,
    solver: LinearSolver = conjugate_gradient,
) -> list[Tensor]:
    """Return `solution` as a differentiable function of all that `objective` is made of.

    Where `objective(params)` has its minimum, its gradient g(params, phi) is zero for whatever
    phi, so that `d solution / d phi = -H^-1 dg / d phi` with the Hessian H of the objective. phi is
    every tensor that the objective closes over: slow weights, hyper-parameters, data, leaves or
    not. What the solution was found by, and from where, has no part in it.

    The gradient of the objective is evaluated once, here, with its graph; the backward pass solves
    one linear system by products with H, then goes down that graph. So time and memory do not
    depend on how many steps the solution took. What H is not asked for at the very minimum, the
    result is off by as much as the solution is.

    Args:
        objective: of params like `solution`; () or, with a leading task axis on all of these,
            (T,), where each loss depends on the params of its own task only.
        solution: the params at the minimum, found by any means, best under torch.no_grad().
        solver: of the linear system: `conjugate_gradient`, `neumann_series`, `direct_solve`, or
            one of these with other settings by functools.partial.

    Returns:
        Tensors of the same values. Those of which the gradient of the objective does not depend
        are not determined by it, and are constants.

    Raises:
        ArgumentError: the objective is no () or (T,), or depends on no param.
        LinearSolveError: in the backward pass: H is not positive definite, or not finite.
        ThirdOrderError: in the backward pass of the backward pass.

    Warns:
        NotConvergedWarning: in the backward pass: the solver is not as exact as asked.

    Example:
        >>> strength = torch.tensor(2.0, requires_grad=True)
        >>> def objective(params):  # with its minimum at 6 / strength
        ...     return strength * params[0] ** 2 / 2 - 6 * params[0]
        >>> (found,) = implicit_solution(objective, [torch.tensor(3.0)])
        >>> found.backward()
        >>> strength.grad
        tensor(-1.5000)

    Source: J. Lorraine, P. Vicol and D. Duvenaud, arXiv 1911.02590; A. Rajeswaran, C. Finn,
    S. Kakade and S. Levine, arXiv 1909.04630.
    """
    if not torch.is_grad_enabled():
        return [tensor.detach() for tensor in solution]
    points = points_like(solution)
    losses = objective(points)
    _require_losses(losses, points)
    gradients = torch.autograd.grad(losses.sum(), points, create_graph=True, allow_unused=True)
    if are_none(gradients):
        raise _no_param()
    return solution_of(points, gradients, solver, task_axis=losses.dim() == 1)


def points_like(solution: Sequence[Tensor]) -> list[Tensor]:
    """Copies to take gradients at; what is done to the others in place leaves them alone."""
    return [tensor.detach().clone().requires_grad_() for tensor in solution]


def solution_of(
    points: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    solver: LinearSolver,
    task_axis: bool,
) -> list[Tensor]:
    """The points at which `gradients`, made with their graph, are zero; see `implicit_solution`."""
    outputs = [point.detach() for point in points]
    found = [
        (index, points[index], gradient)
        for index, gradient in enumerate(gradients)
        if gradient is not None and gradient.requires_grad
    ]
    if found:
        indices, varying, slopes = zip(*found, strict=True)
        function: Any = _Solution
        solved = function.apply(solver, task_axis, *varying, *slopes)
        for index, output in zip(indices, solved, strict=True):
            outputs[index] = output
    return outputs


class _Solution(torch.autograd.Function):
    """The points, as functions of the gradients at them: `d points = -H^-1 d gradients`.

    As the gradients come with their graph, autograd itself goes on to whatever they depend on. A
    function of the leaves would have to know these, and would lose what it does not know.
    """

    @staticmethod
    @override
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, ...]:
        """Keep both; they are inputs, so that torch frees them when it frees the graph."""
        ctx.solver, ctx.task_axis, *tensors = args
        ctx.save_for_backward(*tensors)
        return tuple(point.clone() for point in tensors[: len(tensors) // 2])

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        """Solve `H x = grad_outputs`, and send -x up the graph of the gradients."""
        number = len(grad_outputs)
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        points, gradients = saved[:number], saved[number:]

        def product(vectors: list[Tensor]) -> Sequence[Tensor]:
            return torch.autograd.grad(
                gradients, points, vectors, retain_graph=True, materialize_grads=True
            )

        with torch.no_grad():
            target = [grad.detach() for grad in grad_outputs]
            solved = ctx.solver(product, target, task_axis=ctx.task_axis)
            found = [-tensor for tensor in solved]
        if torch.is_grad_enabled():
            function: Any = _Refusing
            found = function.apply(number, *found, *grad_outputs, *gradients)
        return None, None, *[None] * number, *found


class _Refusing(torch.autograd.Function):
    """The first tensors unchanged; all that they were made from leads to an error."""

    @staticmethod
    @override
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, ...]:
        """Copies: outputs that are inputs would be taken for views."""
        number, *tensors = args
        return tuple(tensor.clone() for tensor in tensors[:number])

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Refuse.

        Raises:
            ThirdOrderError: always.
        """
        raise ThirdOrderError(
            "an implicit gradient was differentiated again, which would need third derivatives of "
            "the inner objective. Use its first derivative only, or differentiate through the "
            "steps of an inner loop (MAML) instead."
        )


def _require_losses(losses: Tensor, points: list[Tensor]) -> None:
    tasks = {tuple(point.shape[:1]) for point in points}
    if losses.dim() > 1 or (losses.dim() == 1 and tasks != {tuple(losses.shape)}):
        shapes = [tuple(point.shape) for point in points[:3]]
        raise ArgumentError(
            "the objective of an implicit solution must return one loss, or one for each task of "
            f"its params, got shape {tuple(losses.shape)} with params of shapes {shapes}. "
            "Take the mean or the sum over all other axes."
        )
    if not losses.requires_grad:
        raise _no_param()


def _no_param() -> ArgumentError:
    return ArgumentError(
        "the objective of an implicit solution must depend on its params, but what it returned "
        "does not. Compute it from the list that it is given, without detach() or "
        "torch.no_grad(), and not from the tensors that were solved for."
    )

"""Solving `A x = b` where only products `A v` can be computed; with a task axis, one for each task.

The products of an implicit gradient are those with a Hessian: symmetric, and positive definite at
a minimum. Vectors are lists of tensors. With `task_axis` every tensor has a leading axis of T
tasks and `A` acts on each of them alone; all systems are solved in one run, and one that is done
waits for the others unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from metann.errors import LinearSolveError
from metann.meta.packing import Packing
from metann.meta.solver_checks import (
    require_convergent,
    require_definite,
    require_finite,
    require_settings,
    share,
    warn_unless_done,
)

Product = Callable[[list[Tensor]], Sequence[Tensor]]
# On matrices (T, unknowns), one row a task.
Operator = Callable[[Tensor], Tensor]


class LinearSolver(Protocol):
    """What solves the system of an implicit gradient.

    The functions of this file are such, and so are they with settings of yours:
    `functools.partial(conjugate_gradient, steps=5, tolerance=None)`.
    """

    def __call__(
        self, product: Product, target: Sequence[Tensor], *, task_axis: bool
    ) -> list[Tensor]:
        """The `x` for which `product(x)` is `target`."""
        ...


def conjugate_gradient(
    product: Product,
    target: Sequence[Tensor],
    *,
    steps: int = 100,
    tolerance: float | None = 1e-6,
    damping: float = 0.0,
    indefinite: Literal["error", "stop"] = "error",
    task_axis: bool = False,
) -> list[Tensor]:
    """Solve `(A + damping * I) x = target` for a symmetric positive definite matrix.

    Args:
        product: `A v` for `v` like `target`.
        target: the right-hand side, tensors of any shapes; with `task_axis`, each (T, *).
        steps: at most so many products, one a step. In exact arithmetic as many as A has different
            eigenvalues are enough.
        tolerance: it is done when the residual of every task is this much shorter than its target.
            None: take all steps, and leave it at that (5 in the iMAML paper).
        damping: added to the diagonal.
        indefinite: what to do where A turns out not to be positive definite. "stop": that task
            keeps what it has reached so far, zeros if this is seen in the first step.
        task_axis: whether there is one.

    Raises:
        LinearSolveError: A is not positive definite, or something is not finite.

    Warns:
        NotConvergedWarning: the tolerance is not reached.

    Source: M. R. Hestenes and E. Stiefel, Methods of conjugate gradients for solving linear
    systems, 1952; stopping at negative curvature: T. Steihaug, 1983.
    """
    require_settings(steps, tolerance)
    packing = Packing.of(target, task_axis)
    apply, (scale, residual) = packing.operator(product, damping), _scaled(packing.pack(target))
    goal = _goal(tolerance, residual)
    iterate = _start(residual, goal)
    for _ in range(steps):
        if tolerance is not None and not bool(iterate.is_open.any()):
            break
        iterate = _conjugate_step(iterate, apply, goal)
    require_finite(scale, iterate.solution, iterate.square)
    if indefinite == "error":
        require_definite(iterate.lowest, damping)
    if tolerance is not None:
        warn_unless_done(iterate.is_open, iterate.square.sqrt(), tolerance, steps)
    return packing.unpack(iterate.solution * scale)


def neumann_series(
    product: Product,
    target: Sequence[Tensor],
    *,
    rate: float,
    steps: int = 100,
    tolerance: float | None = 1e-6,
    task_axis: bool = False,
) -> list[Tensor]:
    """Solve `A x = target` by the series `x = rate * sum_k (I - rate * A)^k target`.

    Where the inner loop is gradient descent with learning rate `rate` that has converged, a sum of
    k terms is what unrolling its last k steps would give.

    Args:
        product: `A v` for `v` like `target`.
        target: the right-hand side, tensors of any shapes; with `task_axis`, each (T, *).
        rate: the series converges if 0 < rate < 2 / the greatest eigenvalue of A.
        steps: at most so many products; one term more.
        tolerance: it is done when the residual of every task is this much shorter than its target.
            None: take all steps, and leave it at that.
        task_axis: whether there is one.

    Raises:
        LinearSolveError: the series diverges, or something is not finite.

    Warns:
        NotConvergedWarning: the tolerance is not reached.

    Source: J. Lorraine, P. Vicol and D. Duvenaud, arXiv 1911.02590, algorithm 3.
    """
    require_settings(steps, tolerance)
    packing = Packing.of(target, task_axis)
    apply, (scale, term) = packing.operator(product, 0.0), _scaled(packing.pack(target))
    total, is_open = term, _square(term) > _goal(tolerance, term)
    for _ in range(steps):
        if tolerance is not None and not bool(is_open.any()):
            break
        # This is also what is left of the target by the terms so far.
        term = term - rate * apply(term)
        is_open = _square(term) > _goal(tolerance, term)
        total = total + term
    require_finite(scale, total, term)
    length = _square(term).sqrt()
    require_convergent(length, rate)
    if tolerance is not None:
        warn_unless_done(is_open, length, tolerance, steps)
    return packing.unpack(rate * total * scale)


def direct_solve(
    product: Product,
    target: Sequence[Tensor],
    *,
    damping: float = 0.0,
    task_axis: bool = False,
) -> list[Tensor]:
    """Solve `(A + damping * I) x = target` for any invertible matrix, by writing it down.

    There are as many products as unknowns, and a matrix of their square for each task: for small
    problems, and to see what an iterative solver leaves out.

    Args:
        product: `A v` for `v` like `target`.
        target: the right-hand side, tensors of any shapes; with `task_axis`, each (T, *).
        damping: added to the diagonal.
        task_axis: whether there is one.

    Raises:
        LinearSolveError: the matrix is singular, or something is not finite.

    Source: torch.linalg.solve.
    """
    packing = Packing.of(target, task_axis)
    apply, right = packing.operator(product, damping), packing.pack(target)
    units = torch.eye(right.shape[1], dtype=right.dtype, device=right.device)
    matrix = torch.stack([apply(unit.expand_as(right)) for unit in units], dim=2)
    require_finite(right, matrix)
    linalg: Any = torch.linalg  # whose functions have no types
    solved: tuple[Tensor, Tensor] = linalg.solve_ex(matrix, right.unsqueeze(2))
    solution, status = solved
    if bool(status.any()):
        raise LinearSolveError(
            f"the system of an implicit gradient is singular {share(status != 0)}: the inner "
            "objective does not say where its minimum lies. Add a term to it, such as a proximal "
            "one, that holds every weight; or give the solver a damping."
        )
    return packing.unpack(solution.squeeze(2))


class _Iterate(NamedTuple):
    """Where conjugate gradient stands: rows for tasks; one column where there is one value each."""

    solution: Tensor
    residual: Tensor
    direction: Tensor
    square: Tensor  # of the residual
    is_open: Tensor  # whether the task goes on
    lowest: Tensor  # curvature along a direction so far: at least the least eigenvalue


def _start(residual: Tensor, goal: float) -> _Iterate:
    square = _square(residual)
    lowest = torch.full_like(square, torch.inf)
    return _Iterate(torch.zeros_like(residual), residual, residual, square, square > goal, lowest)


def _conjugate_step(last: _Iterate, apply: Operator, goal: float) -> _Iterate:
    image = apply(last.direction)
    curvature = _dot(last.direction, image)
    # What is not finite goes on, to be found at the end.
    is_open = last.is_open & ~(curvature <= 0)
    along = curvature / _square(last.direction)
    lowest = torch.where(last.is_open, torch.minimum(last.lowest, along), last.lowest)
    length = torch.where(is_open, last.square / curvature, 0.0)
    residual = last.residual - length * image
    square = _square(residual)
    turn = torch.where(is_open, square / last.square, 0.0)
    return _Iterate(
        solution=last.solution + length * last.direction,
        residual=residual,
        direction=residual + turn * last.direction,
        square=square,
        is_open=is_open & ~(square <= goal),
        lowest=lowest,
    )


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=1, keepdim=True)


def _square(rows: Tensor) -> Tensor:
    return _dot(rows, rows)


def _scaled(target: Tensor) -> tuple[Tensor, Tensor]:
    """The length of each row, and the rows in length 1, so that small ones do not underflow."""
    greatest = target.abs().amax(dim=1, keepdim=True)
    rows = target / torch.where(greatest == 0, 1.0, greatest)
    length = _square(rows).sqrt()
    return greatest * length, rows / torch.where(length == 0, 1.0, length)


def _goal(tolerance: float | None, rows: Tensor) -> float:
    """The square at which a residual is small enough.

    It is never below rounding, where a direction is noise: its curvature may come out negative.
    """
    return max(tolerance or 0.0, 4 * torch.finfo(rows.dtype).eps) ** 2

"""Implicit MAML: the meta-gradient of a solution, whatever steps have led to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import Unpack, override

from metann.batching import Way
from metann.errors import ArgumentError, shown
from metann.meta.evaluated import DataT, Evaluator
from metann.meta.linear_solvers import LinearSolver, conjugate_gradient
from metann.meta.maml import MAML
from metann.meta.proximal import ProximalLoop
from metann.meta.settings import Settings
from metann.optim import Hyper, Optimizer, PerStep
from metann.optim.hyper import Each, parameters_in, replaced, require

# To four digits, or as far as the objective curves upwards.
STOPPING = partial(conjugate_gradient, tolerance=1e-4, indefinite="stop")
# What pulls weights to zero without being in the loss.
DECAYS = ("weight_decay", "lambd")


class IMAML(MAML[DataT]):
    """MAML by implicit gradients: an inner loop may take any steps, and as many as it likes.

    The inner loop minimises `evaluator(model, data) + strength / 2 * |theta - theta_0|^2`, where
    theta_0 are the slow weights. The meta-gradient is that of the minimum: by theta_0 it is
    `(I + H / strength)^-1 v` for the Hessian H of the inner loss and the gradient v of the outer
    one. All else that the inner loss depends on has its meta-gradient, too: weights that do not
    adapt, a strength that is an `nn.Parameter`, data.

    The inner loop costs what that of first-order MAML does, and keeps no graph; the backward pass
    costs a product with H for each step of the solver and one more, each about as much as two
    inner steps. So with 5 of them it is slower than going back through few inner steps, and faster
    through many: measured on one thread, 1.3 times the time of MAML at 5 inner steps and 0.6 at 16
    on 4 convolutions (19 MB of graph, where MAML has 65 and 194); 2.0, 1.1 and 0.9 times at 5, 16
    and 50 on a small MLP (0.8 MB for 1.9, 5.9 and 18). It is another meta-gradient, too: that of a
    regularised minimum, not of so many steps. `benchmarks/implicit.py` measures this.

    Args:
        model: any module.
        steps_train: inner steps in train mode; enough of them to be near the minimum, as the
            meta-gradient is off by what is missing (16 in the paper).
        steps_eval: inner steps in eval mode.
        lr: step size of plain gradient descent; None if an optimizer is given.
        evaluator: `(model, data) -> loss`; twice differentiable in the weights.
        strength: lambda in the paper, where it is 2 or 0.5. One value, or one a parameter that
            adapts; an `nn.Parameter` is meta-learned.
        solver: of the linear system, as in `implicit_solution`; with the number of steps of the
            paper it is `functools.partial(STOPPING, steps=5, tolerance=None)`. The Hessian plus
            lambda should be positive definite, but that of a net seldom is: on the sinusoids of
            MAML, with lambda = 2, half of the tasks had a direction where it was not. Going on
            regardless, as the paper does, learned less in short runs than stopping there. So the
            default stops; `conjugate_gradient` itself raises an error.
        optimizer: any inner optimiser that does not change where the minimum lies. Nothing in it
            is meta-learned, as the minimum is the same for all its settings.
        settings: as in `MAML`; no step keeps a graph, with or without checkpoint or mixed_mode.

    Raises:
        ArgumentError: a `TypeError`; the optimizer has a weight decay, or something to be learned.
        OptimizerError: a `ValueError`; the strength is below 0.

    Example:
        >>> net = nn.Linear(3, 2)
        >>> def evaluator(model, data):
        ...     return model(data).square().mean()
        >>> imaml = IMAML(net, 16, 16, 0.1, evaluator, strength=nn.Parameter(torch.tensor(2.0)))
        >>> imaml.task_losses(torch.randn(4, 5, 3), torch.randn(4, 5, 3)).sum().backward()
        >>> imaml.hyper_parameters["strength"].grad is not None
        True

    Source: Rajeswaran, Finn, Kakade, Levine, "Meta-Learning with Implicit Gradients",
    arXiv 1909.04630.
    """

    def __init__(
        self,
        model: nn.Module,
        steps_train: int,
        steps_eval: int,
        lr: Hyper | None,
        evaluator: Evaluator[DataT],
        *,
        strength: Each,
        solver: LinearSolver = STOPPING,
        optimizer: Optimizer | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(
            model, steps_train, steps_eval, lr, evaluator, optimizer=optimizer, **settings
        )
        _require_no_part_in_the_minimum(self.optimizer)
        require("strength", strength)
        # In a tuple, or it would be registered a second time.
        self._given = (strength,)
        self.solver = solver
        for name, value in parameters_in(strength, "strength"):
            self._learned[name.replace(".", "_")] = value
            self.hyper_parameters[name.replace(".", "_")] = value

    @property
    def strength(self) -> Each:
        """Of the proximal term: what was given, with what stands there now for a Parameter."""
        return cast("Each", replaced(self._given[0], self.learned_now()))

    @override
    def inner_loop(self, how: Way | None) -> ProximalLoop:
        """The loop with these settings: over all tasks in some way, or for one (None)."""
        loop = super().inner_loop(how)
        return ProximalLoop(
            loop.objective, loop.optimizer, strength=self.strength, solver=self.solver
        )

    @override
    def losses_by_step(self, support: DataT, query: DataT, steps: int | None = None) -> Tensor:
        """The losses on the query sets before the first and after each step: (T, steps + 1).

        They have no graph: only the last weights are a solution.
        """
        with torch.no_grad():
            return super().losses_by_step(support, query, steps)


def _require_no_part_in_the_minimum(optimizer: Optimizer) -> None:
    for name, value in _settings(optimizer):
        if name in DECAYS and not (isinstance(value, (int, float)) and value == 0):
            raise ArgumentError(
                f"the minimum of IMAML is that of the loss, got {name}={shown(value)}, by which "
                "the optimizer goes to another. Add the decay to the loss in the evaluator, and "
                "leave it out of the optimizer."
            )
        if any(isinstance(part, Tensor) and part.requires_grad for part in _parts(value)):
            _refuse_learned(name, optimizer)
    for name in optimizer.hyper_parameters():  # In a transform, too.
        _refuse_learned(name, optimizer)


def _refuse_learned(name: str, optimizer: Optimizer) -> None:
    raise ArgumentError(
        f"an implicit gradient does not depend on how the minimum was found, but {name} "
        f"of {type(optimizer).__name__} is to be learned. Give it without a gradient, "
        "learn the strength instead, or use MAML, which goes back through the steps."
    )


def _settings(optimizer: Optimizer) -> Iterator[tuple[str, object]]:
    """The hyper-parameters of an optimiser, and of those that it is made of."""
    for field in fields(optimizer):
        value = getattr(optimizer, field.name)
        if isinstance(value, Optimizer):
            yield from _settings(value)
        else:
            yield field.name, value


def _parts(value: object) -> Iterator[object]:
    inside = value.values if isinstance(value, PerStep) else value
    if isinstance(inside, (list, tuple, nn.ParameterList)):
        for part in cast("Iterable[object]", inside):
            yield from _parts(part)
    else:
        yield inside

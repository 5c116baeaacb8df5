"""An inner loop that solves a problem, to be differentiated as its solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from metann.meta.fast import Fast
from metann.meta.implicit import points_like, solution_of
from metann.meta.inner_loop import InnerLoop
from metann.meta.linear_solvers import LinearSolver, conjugate_gradient
from metann.meta.steps import are_none, require_dependent
from metann.optim import Optimizer, State
from metann.optim.hyper import Each, Place


@dataclass(frozen=True)
class Pull:
    """The gradient of `strength / 2 * |weights - anchors|^2`, which costs less than that term.

    Attributes:
        anchors: (*shape); weights may have a leading task axis.
        strength: one value, or one an anchor.
    """

    anchors: Sequence[Tensor]
    strength: Each

    def __call__(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> list[Tensor]:
        """The gradients of the sum of a loss and this term, from those of the loss."""
        found: list[Tensor] = []
        for index, (weight, anchor) in enumerate(zip(weights, self.anchors, strict=True)):
            pull = Place(anchor, index, len(weights), 0)(self.strength) * (weight - anchor)
            gradient = gradients[index]
            found.append(pull if gradient is None else gradient + pull)
        return found


@dataclass(frozen=True, eq=False)
class Pulled(Optimizer):
    """An optimiser whose steps go down a proximal term, too.

    Attributes:
        optimizer: takes the steps.
        pull: what is added to its gradients.
    """

    optimizer: Optimizer
    pull: Pull

    @override
    def init(self, params: Sequence[Tensor]) -> State:
        """That of the optimiser."""
        return self.optimizer.init(params)

    @override
    def step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
    ) -> tuple[list[Tensor], State]:
        """The optimiser's, without a graph."""
        with torch.no_grad():
            return self.optimizer.step(params, self.pull(params, grads), state)


@dataclass(frozen=True)
class ProximalLoop(InnerLoop):
    """Steps down the loss plus `strength / 2 * |weights - slow weights|^2`, without a graph.

    What `run` gives has the graph of the solution, whatever the steps were.

    Attributes:
        strength: of the proximal term; one value, or one a parameter.
        solver: of the linear system in the backward pass.
    """

    strength: Each = 1.0
    solver: LinearSolver = conjugate_gradient

    @override
    def run(self, fast: Fast, data: Any, count: int) -> tuple[Fast, list[Tensor]]:
        """The fast weights after so many steps, as the solution; and the losses, as `steps`."""
        fast, losses = super().run(fast.detached(), data, count)
        if torch.is_grad_enabled():
            fast = fast._replace(weights=self._solution(fast, data))
        return fast, losses

    @override
    def steps(self, fast: Fast, data: Any) -> Iterator[tuple[Fast, Tensor]]:
        """The fast weights after each step, and the losses before it, without the term."""
        pulled = replace(self, optimizer=Pulled(self.optimizer, self._pull()))
        steps = super(ProximalLoop, pulled).steps(fast, data)
        while True:
            with torch.no_grad():
                after = next(steps)
            yield after

    def _pull(self) -> Pull:
        anchors = [self.objective.params[name] for name in self.objective.names]
        return Pull(anchors, self.strength)

    def _solution(self, fast: Fast, data: Any) -> list[Tensor]:
        points = points_like(fast.weights)
        losses, _ = self._loss(data, fast.state.count)(points, fast.buffers)
        require_dependent(losses)
        gradients = torch.autograd.grad(losses.sum(), points, create_graph=True, allow_unused=True)
        if are_none(gradients):
            self._require_meant(data, fast.state.count, losses)
        return solution_of(
            points, self._pull()(points, gradients), self.solver, task_axis=losses.dim() == 1
        )

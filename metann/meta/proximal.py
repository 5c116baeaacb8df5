"""An inner loop that solves a problem, to be differentiated as its solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from metann.meta.fast import Fast
from metann.meta.implicit import implicit_solution
from metann.meta.inner_loop import InnerLoop
from metann.meta.linear_solvers import LinearSolver, conjugate_gradient
from metann.meta.steps import Buffers, LossFunction
from metann.optim.hyper import Each, Place


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
        fast, losses = super().run(fast, data, count)
        loss = self._loss(data, fast.state.count)
        found = implicit_solution(
            lambda w: loss(w, fast.buffers)[0], fast.weights, solver=self.solver
        )
        return fast._replace(weights=found), losses

    @override
    def steps(self, fast: Fast, data: Any) -> Iterator[tuple[Fast, Tensor]]:
        """The fast weights after each step, and the losses before it with the proximal term."""
        steps = super().steps(fast.detached(), data)
        while True:
            with torch.no_grad():
                after = next(steps)
            yield after

    @override
    def _loss(self, data: Any, step: int) -> LossFunction:
        loss = super()._loss(data, step)

        def with_term(weights: list[Tensor], buffers: Buffers) -> tuple[Tensor, Buffers]:
            found, after = loss(weights, buffers)
            return found + self._term(weights, found.dim()), after

        return with_term

    def _term(self, weights: Sequence[Tensor], task_axes: int) -> Tensor:
        """The proximal term, () or (T,)."""
        slow = [self.objective.params[name] for name in self.objective.names]
        terms: list[Tensor] = []
        for index, (weight, anchor) in enumerate(zip(weights, slow, strict=True)):
            strength = Place(anchor, index, len(slow), 0)(self.strength)
            way = weight - anchor
            pulls = strength * (way * way.conj()).real
            terms.append(pulls.flatten(task_axes).sum(-1) if pulls.dim() > task_axes else pulls)
        return sum(terms[1:], terms[0]) / 2

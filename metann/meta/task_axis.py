"""Optimisers that look at whole tensors, given one set of weights a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from metann.batching import Way, over_tasks
from metann.optim import Optimizer, State


@dataclass(frozen=True)
class EachTask(Optimizer):
    """An optimiser's step for each task by itself: a norm is that of one task's gradients.

    Args:
        optimizer: for the weights of one task.
        way: over the task axis.
    """

    is_elementwise: ClassVar[bool] = True

    optimizer: Optimizer
    way: Way

    @override
    def init(self, params: Sequence[Tensor]) -> State:
        """The state for weights of shape (T, *shape)."""
        kept: list[State] = []

        def one(params: list[Tensor]) -> dict[str, list[Tensor | None]]:
            kept.append(self.optimizer.init(params))
            return kept[-1].slots

        slots = over_tasks(one, [*params], how=self.way)
        return kept[-1]._replace(slots=slots)

    @override
    def step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
    ) -> tuple[list[Tensor], State]:
        """As the optimiser's, for weights and gradients of shape (T, *shape)."""
        kept: list[State] = []

        def one(
            params: list[Tensor],
            grads: list[Tensor | None],
            slots: dict[str, list[Tensor | None]],
        ) -> tuple[list[Tensor], dict[str, list[Tensor | None]]]:
            after, changed = self.optimizer.step(params, grads, state._replace(slots=slots))
            kept.append(changed)
            return after, changed.slots

        after, slots = over_tasks(one, [*params], [*grads], state.slots, how=self.way)
        return after, kept[-1]._replace(slots=slots)

    @override
    def hyper_parameters(self) -> dict[str, nn.Parameter]:
        """Those of the optimiser."""
        return self.optimizer.hyper_parameters()


def with_task_axis(optimizer: Optimizer, way: Way) -> Optimizer:
    """An optimiser for weights of shape (T, *shape)."""
    return optimizer if optimizer.is_elementwise else EachTask(optimizer, way)

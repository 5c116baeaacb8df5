"""The loss on some data as a function of fast weights: for one task, or for all in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from metann.batching import Way
from metann.batching.axes import arguments_of
from metann.batching.choosing import called, name_of
from metann.buffers import is_statistic
from metann.errors import ArgumentError, MetannError
from metann.functional.transforms import is_compiling
from metann.layers.images import no_second_derivative
from metann.learner import Learner
from metann.meta.evaluated import PREFIX, Evaluated, Evaluator
from metann.meta.fast import Fast

Buffers = dict[str, Tensor]
# What stands in the place of the model's weights and buffers at a step, by name.
AtStep = Callable[[int], Mapping[str, Tensor]]


# So many shapes are listed in a message.
_SHOWN = 6


@runtime_checkable
class _Notable(Protocol):
    """An error from Python 3.11 on."""

    def add_note(self, note: str, /) -> None: ...


def nothing(step: int) -> Mapping[str, Tensor]:  # noqa: ARG001
    """The model's own at every step."""
    return {}


@dataclass(frozen=True)
class Objective:
    """A model and an evaluator, waiting for fast weights and data.

    Attributes:
        learner: of the model.
        evaluator: `(model, data) -> loss`.
        params: every parameter of the model by name, in its order.
        names: of those that adapt; the others are used as they are.
        how: over the task axis; None if there is none.
        at_step: weights and buffers that a step has in place of the model's.
    """

    learner: Learner[Evaluated]
    evaluator: Evaluator[Any]
    params: Mapping[str, Tensor]
    names: tuple[str, ...]
    how: Way | None
    at_step: AtStep = nothing

    def __call__(
        self, weights: list[Tensor], buffers: Buffers, data: Any, step: int
    ) -> tuple[Tensor, Buffers]:
        """The loss, () or (T,), and the buffers that the call has written, for the next one."""
        if is_compiling():
            return self._called(weights, buffers, data, step)
        try:
            return self._called(weights, buffers, data, step)
        except (MetannError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:
            _add_note(error, data, has_tasks=self.how is not None)
            raise

    def _called(
        self, weights: list[Tensor], buffers: Buffers, data: Any, step: int
    ) -> tuple[Tensor, Buffers]:
        def of_one(weights: list[Tensor], buffers: Buffers, data: Any) -> tuple[Tensor, Buffers]:
            return self._of_one(weights, buffers | dict(self.at_step(step)), data)

        if self.how is None:
            loss, after = of_one(weights, buffers, data)
        else:
            given = arguments_of((weights, buffers, data), names=("weights", "buffers", "data"))
            loss, after = called(of_one, given, self.how, name_of(self.evaluator))
        return loss, self._written(buffers, after) if after else after

    def after(self, fast: Fast, data: Any) -> Tensor:
        """The loss after the steps that have been taken, as the last of them sees the model."""
        return self.last(fast, data)[0]

    def last(self, fast: Fast, data: Any) -> tuple[Tensor, Buffers]:
        """The same, and the buffers that the call has written."""
        with no_second_derivative():
            return self(fast.weights, fast.buffers, data, max(fast.state.count - 1, 0))

    def named(self, fast: Fast) -> dict[str, Tensor]:
        """Every weight of the model, and the buffers that are not its own, by name."""
        weights = {**self.params, **dict(zip(self.names, fast.weights, strict=True))}
        return {**weights, **fast.buffers, **self.at_step(max(fast.state.count - 1, 0))}

    def buffers(self) -> Buffers:
        """The model's own, by name."""
        return dict(self.learner.module.model.named_buffers())

    def _of_one(
        self, weights: list[Tensor], others: Mapping[str, Tensor], data: Any
    ) -> tuple[Tensor, Buffers]:
        every = {**self.params, **dict(zip(self.names, weights, strict=True)), **others}
        if not self._has_buffers():
            params = [*every.values()]
            return _scalar(self.learner.functional(params, None, self.evaluator, data)), {}
        named = {PREFIX + name: tensor for name, tensor in every.items()}
        loss, after = self.learner.functional(named, None, self.evaluator, data, buffers="return")
        return _scalar(loss), {name.removeprefix(PREFIX): value for name, value in after.items()}

    def _has_buffers(self) -> bool:
        return next(self.learner.module.buffers(), None) is not None

    def _written(self, before: Buffers, after: Buffers) -> Buffers:
        """Those that a call changes; masks and tables stay those of the model."""
        own, axes = self.buffers(), 0 if self.how is None else 1
        return {
            name: value
            for name, value in after.items()
            if name in before or is_statistic(name) or _differs(own.get(name), value, axes)
        }


def _differs(own: Tensor | None, value: Tensor, axes: int) -> bool:
    """Whether it is not what it was; a number of task axes stands in front of its own."""
    if own is None or own.shape != value.shape[axes:]:
        return True
    if is_compiling():  # Which would have to know the values while it traces.
        return False
    return not bool((own == value).all())


def _scalar(loss: object) -> Tensor:
    if isinstance(loss, Tensor) and loss.dim() == 0:
        return loss
    found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
    remedy = "Take the mean over the samples of a task."
    if isinstance(loss, (int, float)):
        remedy = "Return the tensor itself, without item() or float(): a number has no gradient."
    raise ArgumentError(
        f"evaluator(model, data) must return a loss, a tensor of one value, got {found}. {remedy}"
    )


def _add_note(error: Exception, data: object, has_tasks: bool) -> None:
    """Say at an error of the evaluator what it was called with; before Python 3.11 nothing is."""
    if not isinstance(error, _Notable):
        return
    leaves: list[object] = pytree.tree_leaves(data)
    shapes = [tuple(leaf.shape) for leaf in leaves if isinstance(leaf, Tensor)]
    whose = "of one task"
    if has_tasks and shapes:
        whose = f"of one of {shapes[0][0]} tasks"
        shapes = [shape[1:] for shape in shapes]
    listed = ", ".join(map(str, shapes[:_SHOWN])) + (", …" if len(shapes) > _SHOWN else "")
    error.add_note(
        f"metann called evaluator(model, data) with the data {whose}, tensors of shapes: "
        f"{listed or 'none'}. It takes these two arguments; data of several parts is unpacked "
        "inside. The first axis of what task_losses is given counts tasks; adapt takes the data "
        "of one task, without that axis."
    )

"""Differentiable optimisers that are made of one of metann.optim."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from metann.compat.higher.differentiable_optimizer import DifferentiableOptimizer
from metann.optim import Optimizer, State
from metann.optim.from_torch import HOW, made, remembered, require_known, require_no_hooks
from metann.optim.state import of_parameter


class Stateful(DifferentiableOptimizer):
    """Takes the step of an optimiser of metann.optim for each group."""

    @abstractmethod
    def _optimizer(self, group: Mapping[str, Any]) -> Optimizer:
        """The optimiser with the options of a group."""

    def _update(self, grouped_grads: list[list[Tensor | None]]) -> None:
        for group, kept, grads in zip(self.param_groups, self.state, grouped_grads, strict=True):
            ours = self._optimizer(group)
            stepped, after = ours.step(group["params"], grads, joined(ours, group["params"], kept))
            group["params"] = stepped
            for index, grad in enumerate(grads):
                if grad is not None:
                    kept[index] = {"step": after.steps[index], **of_parameter(after, index)}


class OfTorch(Stateful):
    """The differentiable form of a class of torch.optim; see `DifferentiableOptimizer`.

    Raises:
        OptimizerError: a `ValueError`; `other` calls hooks, or has an option unknown here.
    """

    kind: ClassVar[type[Optimizer]]
    """The class of metann.optim that takes the steps."""

    def __init__(
        self,
        other: torch.optim.Optimizer,
        reference_params: Iterable[Tensor],
        **settings: Any,
    ) -> None:
        require_no_hooks(other)
        self._names: list[str] = [name for name in other.defaults if name not in HOW]
        require_known(self.kind, self._names)
        super().__init__(other, reference_params, **settings)

    def _optimizer(self, group: Mapping[str, Any]) -> Optimizer:
        return made(self.kind, {name: single(group[name]) for name in self._names})


@dataclass(frozen=True)
class Unstepped:
    """The parameters of an optimiser that has no state yet."""

    param_groups: list[dict[str, Any]]
    state: dict[Any, Any] = field(default_factory=dict[Any, Any])


class OfValue(Stateful):
    """The steps of an optimiser of metann.optim, of yours or of ours.

    Args:
        ours: with any hyper-parameters; each is an option that can be overridden.
        reference_params: all of them are stepped.
        settings: as in `DifferentiableOptimizer`.
    """

    def __init__(
        self, ours: Optimizer, reference_params: Iterable[Tensor], **settings: Any
    ) -> None:
        params = [*reference_params]
        options = {each.name: getattr(ours, each.name) for each in fields(ours) if each.init}
        self._ours = ours
        super().__init__(Unstepped([{**options, "params": params}]), params, **settings)

    def _optimizer(self, group: Mapping[str, Any]) -> Optimizer:
        options = {name: single(value) for name, value in group.items() if name != "params"}
        return replace(self._ours, **options)


def single(value: Any) -> Any:
    """An option as a hyper-parameter: a tensor with one element is a scalar."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.reshape(())
    if isinstance(value, tuple):
        return tuple(map(single, cast("Sequence[Any]", value)))
    return value


def joined(
    ours: Optimizer, params: Sequence[Tensor], kept: Mapping[int, Mapping[str, Any]]
) -> State:
    """The state of a group, from what is kept for each of its parameters."""
    columns: list[dict[str, Any]] = []
    names = ours.init([]).slots
    for index, param in enumerate(params):
        own = kept.get(index) or of_parameter(ours.init([param]), 0)
        columns.append(
            {name: fitted(own[name], param) for name in names if own.get(name) is not None}
        )
    steps = tuple(int(kept.get(index, {}).get("step", 0)) for index in range(len(params)))
    slots = {name: [column.get(name) for column in columns] for name in names}
    return State(max(steps, default=0), steps, slots)


def fitted(value: Any, param: Tensor) -> Tensor:
    """What is kept, with the device and precision of its parameter."""
    dtype = param.dtype if torch.as_tensor(value).is_complex() else param.dtype.to_real()
    if isinstance(value, Tensor) and value.dtype == dtype and value.device == param.device:
        return value
    return remembered(value, param)

"""torch's foreach kernels: one call for many small tensors, where nothing is differentiated.

With a graph they keep twice as much in memory; the README of this folder says what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from torch import Tensor

from metann.functional.transforms import in_any_transform, is_compiling
from metann.optim.hyper import Place
from metann.optim.state import State

if TYPE_CHECKING:
    from metann.optim.optimizer import Optimizer

Slots: TypeAlias = "dict[str, Tensor]"
Update: TypeAlias = "Callable[[Tensor, Tensor, Slots, int, Place], tuple[Tensor, Slots]]"

_torch: Any = import_module("torch")  # whose foreach kernels have no public names

# With fewer tensors there is nothing to win. Larger ones are better taken one after another: all
# operations on one are done while it is in the processor's cache.
LEAST_NUMBER: int = 6
LARGEST_MEAN_SIZE: int = 8192


class Many:
    """Tensors in the place of one: has the operators and functions that updates use."""

    __slots__ = ("tensors",)

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors: Sequence[Tensor] = tensors

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Many:
        """What `torch.add(many, other)` and the like are."""
        return FORMS[function](*args, **(kwargs or {}))

    @property
    def dtype(self) -> torch.dtype:
        """That of all of them."""
        return self.tensors[0].dtype

    def __neg__(self) -> Many:
        return Many(_torch._foreach_neg(self.tensors))

    def __add__(self, other: Operand) -> Many:
        return Many(_torch._foreach_add(self.tensors, parts(other)))

    def __sub__(self, other: Operand) -> Many:
        return Many(_torch._foreach_sub(self.tensors, parts(other)))

    def __mul__(self, other: Operand) -> Many:
        return Many(_torch._foreach_mul(self.tensors, parts(other)))

    def __truediv__(self, other: Operand) -> Many:
        return Many(_torch._foreach_div(self.tensors, parts(other)))

    def abs(self) -> Many:
        """Their absolute values."""
        return Many(_torch._foreach_abs(self.tensors))

    def sqrt(self) -> Many:
        """Their roots."""
        return Many(_torch._foreach_sqrt(self.tensors))


Operand: TypeAlias = "Many | float"


def parts(operand: Operand) -> Sequence[Tensor] | float:
    """The tensors, or the number that stands beside tensors."""
    return operand.tensors if isinstance(operand, Many) else operand


def _add(input: Many, other: Many, *, alpha: float = 1) -> Many:
    return Many(_torch._foreach_add(input.tensors, other.tensors, alpha=alpha))


def _sub(input: Many, other: Many, *, alpha: float = 1) -> Many:
    return Many(_torch._foreach_sub(input.tensors, other.tensors, alpha=alpha))


def _lerp(input: Many, end: Many, weight: float) -> Many:
    return Many(_torch._foreach_lerp(input.tensors, end.tensors, weight))


def _addcmul(input: Many, tensor1: Many, tensor2: Many, *, value: float = 1) -> Many:
    found = _torch._foreach_addcmul(input.tensors, tensor1.tensors, tensor2.tensors, value)
    return Many(found)


def _addcdiv(input: Many, tensor1: Many, tensor2: Many, *, value: float = 1) -> Many:
    found = _torch._foreach_addcdiv(input.tensors, tensor1.tensors, tensor2.tensors, value)
    return Many(found)


def _maximum(input: Many, other: Many) -> Many:
    return Many(_torch._foreach_maximum(input.tensors, other.tensors))


def _threshold(input: Many, threshold: float, value: float) -> Many:  # noqa: ARG001
    # `root` has the least number above the threshold as value: then it is the same.
    return Many(_torch._foreach_clamp_min(input.tensors, value))


FORMS: Mapping[Callable[..., object], Callable[..., Many]] = {
    torch.add: _add,
    torch.sub: _sub,
    torch.lerp: _lerp,
    torch.addcmul: _addcmul,
    torch.addcdiv: _addcdiv,
    torch.maximum: _maximum,
    torch.threshold: _threshold,
}


def many(column: Sequence[Tensor | None], indices: Sequence[int]) -> Tensor:
    """These of the tensors, as what an update takes for one."""
    tensors = [column[index] for index in indices]
    return cast("Tensor", Many(cast("list[Tensor]", tensors)))


def put(found: Tensor, column: MutableSequence[Any], indices: Sequence[int]) -> None:
    """Put what an update returned for them into their places."""
    for index, tensor in zip(indices, cast("Many", found).tensors, strict=True):
        column[index] = tensor


def updated(
    update: Update,
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    state: State,
    indices: Sequence[int],
) -> tuple[list[Tensor], dict[str, list[Tensor | None]]]:
    """The parameters and the slots after one step of these parameters together.

    Args:
        update: that of an optimiser for one parameter.
        params: all of them.
        grads: as many, or None.
        state: of all of them.
        indices: which ones are taken.
    """
    stepped, first = [*params], indices[0]
    slots = {name: [*column] for name, column in state.slots.items()}
    own = {n: many(column, indices) for n, column in slots.items() if column[first] is not None}
    place = Place(params[first], first, len(params), state.count)
    number = state.steps[first] + 1
    found, changed = update(many(params, indices), many(grads, indices), own, number, place)
    put(found, stepped, indices)
    for name, value in changed.items():
        put(value, slots[name], indices)
    return stepped, slots


def are_possible() -> bool:
    """Whether foreach kernels may be called here.

    They may not inside torch's transforms, as they have no rule for vmap; its compiler fuses
    operations by itself.
    """
    return not (is_compiling() or in_any_transform())


def chosen(params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State) -> list[int]:
    """The parameters with a gradient, if they can be taken together, and faster so; or none."""
    indices = [index for index, grad in enumerate(grads) if grad is not None]
    if len(indices) < LEAST_NUMBER or has_graph(params, grads, state):
        return []
    dtype, number = params[indices[0]].dtype, state.steps[indices[0]]
    size = 0
    for index in indices:
        param = params[index]
        is_sparse = cast("Tensor", grads[index]).layout != torch.strided
        if is_sparse or param.dtype != dtype or state.steps[index] != number:
            return []
        size += param.numel()
    is_small = size <= LARGEST_MEAN_SIZE * len(indices)
    fits = is_small and dtype.is_floating_point and have_all_or_none(state, indices)
    return indices if fits else []


def has_graph(params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State) -> bool:
    """Whether torch records a graph of a step."""
    if not torch.is_grad_enabled():
        return False
    columns = (params, grads, *state.slots.values())
    return any(t is not None and t.requires_grad for column in columns for t in column)


def have_all_or_none(state: State, indices: Sequence[int]) -> bool:
    """Whether each slot is there for all of these parameters, or for none."""
    columns = ([column[index] is None for index in indices] for column in state.slots.values())
    return all(all(column) or not any(column) for column in columns)


def has_one_number_each(optimizer: Optimizer) -> bool:
    """Whether each hyper-parameter is one number for all parameters and steps."""
    for field in fields(optimizer):
        value = getattr(optimizer, field.name)
        numbers = value if str(field.type).startswith("tuple") else (value,)
        if not all(isinstance(number, (int, float)) for number in numbers):
            return False
    return True

"""Copies and pickles of dependent modules."""

from __future__ import annotations

import copy
import copyreg
from typing import Any, TypeVar, cast

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from metann.references import tensors_in
from metann.tree import walk

ModuleT = TypeVar("ModuleT", bound=nn.Module)
ORIGIN = "_written_for"
# What pickle calls to make an empty instance.
_new_object: Any = copyreg.__newobj__  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
_slot_names: Any = copyreg._slotnames  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportPrivateUsage]


def deep_copy(module: ModuleT, memo: dict[int, Any]) -> ModuleT:
    """Copy `module` and everything it holds.

    A dependent that is the result of a computation is cloned within the graph: gradients of the
    copy flow to the same leaves. torch itself refuses to copy such tensors.
    """
    for _, owner in walk(module):
        for tensor in tensors_in([owner.__dict__["_buffers"], *owner.__dict__.values()]):
            if tensor.grad_fn is not None and id(tensor) not in memo:
                memo[id(tensor)] = tensor.clone()
    if is_parametrized(module):  # torch lets it be copied, but not reduced as for a pickle.
        return _copied_by_attributes(module, memo)
    reconstruct: Any = copy._reconstruct  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportPrivateUsage]
    return cast(ModuleT, reconstruct(module, memo, *cast(Any, module.__reduce_ex__(4))))


def _copied_by_attributes(module: ModuleT, memo: dict[int, Any]) -> ModuleT:
    """Copy each attribute, those in `__slots__` too, past `__getstate__` and `__setattr__`."""
    made: ModuleT = _new_object(type(module))
    memo[id(module)] = made
    made.__dict__.update(copy.deepcopy(module.__dict__, memo))
    for name in _slot_names(type(module)):
        if hasattr(module, name):
            object.__setattr__(made, name, copy.deepcopy(getattr(module, name), memo))
    return made


def reduce_by_origin(module: nn.Module, reduced: Any) -> Any:
    """Pickle a module whose counterpart was written on demand by the class it was written for.

    Such a class cannot be imported; it is written again where the pickle is read.
    """
    kind = type(module)
    origin = vars(kind).get(ORIGIN)
    if origin is None or reduced[:2] != (_new_object, (kind,)):
        return reduced
    return (new_counterpart, (origin,), *reduced[2:])


def new_counterpart(origin: type[nn.Module]) -> nn.Module:
    """An empty instance of the counterpart of `origin`, for pickle to fill."""
    from metann.registry import counterpart_of

    kind = counterpart_of(origin)
    return kind.__new__(kind)

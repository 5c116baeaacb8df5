"""Operands of a vmap, with their task axis in sight."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor

from metann.functional.transforms import innermost, is_compiling

_functorch: Any = import_module("torch._C._functorch")
_VMAP: Any = _functorch.TransformType.Vmap
_unwrap: Any = _functorch._unwrap_batched


def innermost_vmap() -> int | None:
    """The level of the vmap that sees an operation first; None if no vmap does.

    A transform that stands inside of a vmap, such as `torch.func.grad`, has to see the operation
    as a whole.
    """
    if is_compiling():
        return None  # torch.compile fuses what its batching rules make.
    interpreter = innermost()
    if interpreter is None or interpreter.key() != _VMAP:
        return None
    level: int = interpreter.level()
    return level


def in_sight(tensor: Tensor, level: int, at: int = 0) -> Tensor | None:
    """The tensor with the task axis of a vmap at `at`; None if it has none.

    What belongs to the transforms outside of this vmap stays theirs: operations on it pass the vmap
    by, and are seen by them.
    """
    plain, axis = _unwrap(tensor, level)
    if axis is None:
        return None
    moved: Tensor = plain if axis == at else plain.movedim(axis, at)
    return moved


def all_in_sight(tensors: tuple[Tensor | None, ...], level: int) -> list[Tensor | None] | None:
    """The tensors with the task axis in front; None if one of them has none."""
    found = [None if tensor is None else in_sight(tensor, level) for tensor in tensors]
    is_given = [tensor is not None for tensor in tensors]
    return found if [tensor is not None for tensor in found] == is_given else None


def out_of_sight(tensor: Tensor, level: int, at: int = 0) -> Tensor:
    """The axis at `at` becomes the task axis of a vmap."""
    hidden: Tensor = _functorch._add_batch_dim(tensor, at, level)
    return hidden

"""Where the task axes of the arguments of a call are, and whether they agree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import torch
from torch import Tensor, nn

from metann.batching.trees import Together, number_of_leaves, taken_apart, with_names
from metann.errors import ArgumentError, BatchingError

# For all arguments, or for each: the task axis of its tensors; None if all tasks share them.
Axes = int | Sequence[int | None]
_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, Enum, torch.dtype, torch.device)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call for all tasks.

    Attributes:
        leaves: what stands in them, from left to right: tensors, and anything else.
        axes: the task axis of each; None for what is no tensor, or shared by all tasks.
        tasks: how many tasks there are.
        together: puts leaves together to arguments.
    """

    leaves: list[Any]
    axes: list[int | None]
    tasks: int
    together: Together


def arguments_of(
    args: tuple[Any, ...], in_dims: Axes = 0, names: Sequence[str] | None = None
) -> Arguments:
    """Look at the arguments of a call; `names` are for messages.

    Raises:
        BatchingError: a `ValueError`; no tensor has a task axis, their sizes differ, or something
            holds tensors out of sight.
        ArgumentError: a `TypeError`; `in_dims` has another length than `args`.
    """
    leaves: list[Any] = []
    together = taken_apart(args, leaves)
    asked = _asked_for(args, leaves, in_dims)
    if any(map(_is_out_of_sight, leaves, asked)):
        raise BatchingError(_out_of_sight(_named(args, names), asked))
    axes = [
        axis if isinstance(leaf, Tensor) else None for leaf, axis in zip(leaves, asked, strict=True)
    ]
    try:
        sizes = {
            leaf.shape[axis] for leaf, axis in zip(leaves, axes, strict=True) if axis is not None
        }
    except IndexError:
        sizes = set[int]()
    if len(sizes) != 1:
        raise BatchingError(_disagreement(_named(args, names), axes))
    return Arguments(leaves, axes, sizes.pop(), together)


def _asked_for(args: tuple[Any, ...], leaves: Sequence[Any], in_dims: Axes) -> list[int | None]:
    """The axis that `in_dims` says for each leaf, whether it is a tensor or not."""
    if isinstance(in_dims, int):
        return [in_dims] * len(leaves)
    if len(in_dims) != len(args):
        raise ArgumentError(
            f"in_dims must be a number, or a number or None for each of the {len(args)} arguments, "
            f"got {in_dims!r}. None stands for an argument that all tasks share."
        )
    spread: list[int | None] = []
    for argument, axis in zip(args, in_dims, strict=True):
        spread += [axis] * number_of_leaves(argument)
    return spread


def require_constant(value: object) -> None:
    """Raise if a result may hold tensors that cannot be seen.

    Raises:
        BatchingError: a `ValueError`; it may.
    """
    if not isinstance(value, _CONSTANTS):
        raise BatchingError(
            "what is returned for all tasks must be tensors, alone or in lists, tuples, dicts and "
            f"other pytrees, got {type(value).__name__}. Return the tensors that are in it, or "
            "make its class known by torch.export.register_dataclass."
        )


def _is_out_of_sight(leaf: object, axis: int | None) -> bool:
    """Whether a task would get all of what is to be divided among the tasks."""
    return axis is not None and not isinstance(leaf, Tensor) and _hides(leaf, set())


def _hides(value: object, seen: set[int]) -> bool:
    """Whether there are tensors or arrays in what a pytree does not know; modules are shared."""
    if isinstance(value, (*_CONSTANTS, range, nn.Module)) or callable(value) or id(value) in seen:
        return False
    if isinstance(value, (Tensor, Iterator)) or _is_array(value):
        return True
    seen.add(id(value))
    return any(_hides(held, seen) for held in _held(value))


def _is_array(value: object) -> bool:
    """Whether it is of numpy, or like it; a number of numpy's is a number."""
    return hasattr(value, "__array__") and getattr(value, "ndim", 0) > 0


def _held(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).values()
    if isinstance(value, (Sequence, Set)):
        return cast("Collection[object]", value)
    slots: str | Iterable[str] = getattr(type(value), "__slots__", ())
    names = (slots,) if isinstance(slots, str) else slots
    own: dict[str, object] = getattr(value, "__dict__", {})
    return [*own.values(), *(getattr(value, name, None) for name in names)]


def _out_of_sight(leaves: Sequence[tuple[str, Any]], asked: Sequence[int | None]) -> str:
    name, value = next(
        named for named, axis in zip(leaves, asked, strict=True) if _is_out_of_sight(named[1], axis)
    )
    kind = type(value).__name__
    found = f"{kind} with tensors in it at {name}"
    remedy = "Give its tensors, or make its class known by torch.export.register_dataclass."
    if isinstance(value, Mapping):
        remedy = "Give dict(...) of it."
    elif isinstance(value, Iterator):
        found, remedy = f"{kind} at {name}, which one task would use up", "Give list(...) of it."
    elif _is_array(value):
        found, remedy = f"{kind} at {name}", "Give torch.as_tensor(...) of it."
    return (
        "tensors with a task axis must stand in lists, tuples, dicts and other pytrees, got a "
        f"{found}. {remedy}"
    )


def _named(args: tuple[Any, ...], names: Sequence[str] | None) -> list[tuple[str, Any]]:
    """Every leaf with its name. Example: `args[0]['weight']`."""
    own = names or [f"args[{number}]" for number in range(len(args))]
    pairs = zip(own, args, strict=True)
    return [leaf for name, argument in pairs for leaf in with_names(argument, name)]


def _disagreement(leaves: Sequence[tuple[str, Any]], axes: Sequence[int | None]) -> str:
    """What is the matter with the sizes of the task axes."""
    by_size: dict[str, list[str]] = {}
    for (name, leaf), axis in zip(leaves, axes, strict=True):
        if axis is not None:
            has_axis = -leaf.dim() <= axis < leaf.dim()
            size = str(leaf.shape[axis]) if has_axis else f"no axis {axis}"
            by_size.setdefault(size, []).append(f"{name} {tuple(leaf.shape)}")
    found = [
        f"{size} in {', '.join(these[:3])}" + (f" and {len(these) - 3} more" if these[3:] else "")
        for size, these in by_size.items()
    ]
    return (
        "every tensor must have a task axis of the same size, the first unless in_dims says "
        f"another, got {'; '.join(found) or 'no tensor'}. Stack one tensor a task; what all tasks "
        "share is given as tensor.expand(tasks, *tensor.shape), or with None in in_dims."
    )

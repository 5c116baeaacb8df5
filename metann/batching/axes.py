"""Where the task axes of the arguments of a call are, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from metann.errors import ArgumentError, BatchingError

# For all arguments, or for each: the task axis of its tensors; None if all tasks share them.
Axes = int | Sequence[int | None]
_pytree: Any = pytree


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call for all tasks.

    Attributes:
        leaves: what stands in them, from left to right: tensors, and anything else.
        axes: the task axis of each; None for what is no tensor, or shared by all tasks.
        tasks: how many tasks there are.
        spec: what puts leaves together to arguments.
    """

    leaves: list[Any]
    axes: list[int | None]
    tasks: int
    spec: Any

    def together(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments with these leaves."""
        arguments: tuple[Any, ...] = _pytree.tree_unflatten(leaves, self.spec)
        return arguments


def arguments_of(args: tuple[Any, ...], in_dims: Axes) -> Arguments:
    """Look at the arguments of a call.

    Raises:
        BatchingError: a `ValueError`; no tensor has a task axis, or their sizes differ.
        ArgumentError: a `TypeError`; `in_dims` has another length than `args`.
    """
    leaves, spec = _pytree.tree_flatten(args)
    axes = _axes_of(args, leaves, in_dims)
    try:
        sizes = {
            leaf.shape[axis] for leaf, axis in zip(leaves, axes, strict=True) if axis is not None
        }
    except IndexError:
        sizes = set[int]()
    if len(sizes) != 1:
        raise BatchingError(_disagreement(args, axes))
    return Arguments(leaves, axes, sizes.pop(), spec)


def _axes_of(args: tuple[Any, ...], leaves: Sequence[Any], in_dims: Axes) -> list[int | None]:
    """The axis of each leaf."""
    if isinstance(in_dims, int):
        return [in_dims if isinstance(leaf, Tensor) else None for leaf in leaves]
    if len(in_dims) != len(args):
        raise ArgumentError(
            f"in_dims must be a number, or a number or None for each of the {len(args)} arguments, "
            f"got {in_dims!r}. None stands for an argument that all tasks share."
        )
    spread: list[int | None] = []
    for argument, axis in zip(args, in_dims, strict=True):
        spread += [axis] * len(_pytree.tree_leaves(argument))
    return [
        axis if isinstance(leaf, Tensor) else None
        for leaf, axis in zip(leaves, spread, strict=True)
    ]


def _disagreement(args: tuple[Any, ...], axes: Sequence[int | None]) -> str:
    """What is the matter with the sizes of the task axes."""
    found = [
        f"args{_pytree.keystr(path)} {tuple(leaf.shape)}" + (f" along {axis}" if axis else "")
        for (path, leaf), axis in zip(_pytree.tree_flatten_with_path(args)[0], axes, strict=True)
        if axis is not None
    ]
    return (
        "every tensor must have a task axis of the same size, the first unless in_dims says "
        f"another, got {', '.join(found) or 'no tensor'}. Stack one tensor a task; what all tasks "
        "share is given with None in in_dims, or as tensor.expand(tasks, *tensor.shape)."
    )

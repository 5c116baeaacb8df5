"""Trees of tensors: nested lists, tuples and dicts, as TorchOpt takes parameters and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from torch import Tensor
from torch.utils import _pytree as pytree

from metann.errors import ArgumentError

TreeT = TypeVar("TreeT")
Leaf = Tensor | None


def leaves_of(tree: object) -> list[Leaf]:
    """The tensors of a tree in order; a leaf may be None, as the gradient of an unused weight.

    Raises:
        ArgumentError: a leaf is something else.
    """
    found = pytree.tree_leaves(tree)
    for leaf in found:
        if leaf is not None and not isinstance(leaf, Tensor):
            raise ArgumentError(
                "expected a tree of tensors (nested tuples, lists and dicts), got a "
                f"{type(leaf).__name__} in it. Give tensors, or None for what is not used; for a "
                "module give tuple(module.parameters())."
            )
    return found


def rebuilt(tree: TreeT, leaves: Sequence[Leaf]) -> TreeT:
    """A tree of the same structure with other leaves."""
    _, structure = pytree.tree_flatten(tree)
    return cast("TreeT", pytree.tree_unflatten(leaves, structure))


def mapped(function: Callable[[Tensor], Tensor], tree: TreeT) -> TreeT:
    """A tree of what a function makes of the tensors; a tensor met twice stays one."""
    result: Any = pytree.tree_map_only(Tensor, once(function), tree)
    return cast("TreeT", result)


def once(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The function, but the same tensor is given the same result: what is tied stays tied."""
    made: dict[int, tuple[Tensor, Tensor]] = {}

    def remembered(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            # With the tensor itself: an id is its own only as long as it lives.
            made[id(tensor)] = tensor, function(tensor)
        return made[id(tensor)][1]

    return remembered


def leaves_of_state(state: object) -> list[Tensor]:
    """The tensors in what an optimiser remembers, among numbers."""
    return [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]

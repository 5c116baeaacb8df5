"""Trees of tensors: nested lists, tuples and dicts, as TorchOpt takes parameters and gradients.

Leaves are in the order of sorted keys, whatever the order in which a dict was filled: what is
remembered for one of them in one step is found for the same in the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from torch import Tensor
from torch.utils import _pytree as pytree

from metann.errors import ArgumentError, OptimizerError

TreeT = TypeVar("TreeT")
Leaf = Tensor | None


def leaves_of(tree: object) -> list[Leaf]:
    """The tensors of a tree by sorted keys; a leaf may be None, as the gradient of what is unused.

    Raises:
        ArgumentError: a leaf is something else.
    """
    for leaf in pytree.tree_leaves(tree):
        if leaf is not None and not isinstance(leaf, Tensor):
            raise ArgumentError(
                "expected a tree of tensors (nested tuples, lists and dicts), got a "
                f"{type(leaf).__name__} in it. Give tensors, or None for what is not used; for a "
                "module give tuple(module.parameters())."
            )
    return [cast("Leaf", leaf) for _, leaf, _ in paired(tree, tree)]


def leaves_like(tree: object, other: object) -> list[Leaf]:
    """The tensors of another tree, in the order of this one.

    What stands in a dict is found by its key, whatever the order; a list and a tuple are the same.

    Raises:
        ArgumentError: a leaf is no tensor.
        OptimizerError: the trees have not one structure, or tensors that belong together have not
            one shape.
    """
    pairs = [*paired(tree, other)]
    leaves = leaves_of([leaf for _, _, leaf in pairs])
    for path, own, leaf in pairs:
        if isinstance(own, Tensor) and isinstance(leaf, Tensor) and own.shape != leaf.shape:
            raise OptimizerError(
                f"tensors that belong together must have one shape, got {tuple(own.shape)} and "
                f"{tuple(leaf.shape)} at tree{path}. Give trees of one structure."
            )
    return leaves


def paired(tree: object, other: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    """For each leaf of a tree where it is, the leaf, and what another tree has there.

    Raises:
        OptimizerError: the trees have not one structure.
    """
    own, others = _children(tree), _children(other)
    if (own is None) != (others is None) or (own or {}).keys() != (others or {}).keys():
        raise OptimizerError(
            f"there must be one for each: tree{path} is {_described(tree, own)}, but for it there "
            f"is {_described(other, others)}. Give trees of one structure: a gradient, or None, "
            "for each parameter."
        )
    if own is None or others is None:
        yield path, tree, other
        return
    for key, child in own.items():
        yield from paired(child, others[key], f"{path}[{key!r}]")


def _children(tree: object) -> dict[object, object] | None:
    """What a node holds, by key or number; None if it is a leaf."""
    if isinstance(tree, Mapping):
        entries = cast("Mapping[Any, object]", tree)
        return {key: entries[key] for key in _sorted(entries)}
    if isinstance(tree, (list, tuple, deque)):
        return dict(enumerate(cast("Sequence[object]", tree)))
    leaves = pytree.tree_leaves(tree)  # Of other containers that torch knows, in its order.
    return None if len(leaves) == 1 and leaves[0] is tree else dict(enumerate(leaves))


def _sorted(keys: Iterable[Any]) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:  # Of several types, as numbers and names.
        return sorted(keys, key=lambda key: (type(key).__qualname__, repr(key)))


def _described(tree: object, children: Mapping[object, object] | None) -> str:
    kind = type(tree).__name__
    if children is None:
        return f"a leaf ({kind})"
    if isinstance(tree, Mapping):
        return f"a {kind} with the keys {[*children]}"
    return f"a {kind} of {len(children)}"


def rebuilt(tree: TreeT, leaves: Sequence[Leaf]) -> TreeT:
    """A tree of the same structure with other leaves, which are in the order of `leaves_of`."""
    flat, structure = pytree.tree_flatten(tree)
    places: object = pytree.tree_unflatten([*range(len(flat))], structure)
    for (_, place, _), leaf in zip(paired(places, places), leaves, strict=True):
        flat[cast("int", place)] = leaf
    return cast("TreeT", pytree.tree_unflatten(flat, structure))


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

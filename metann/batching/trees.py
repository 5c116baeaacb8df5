"""Taking apart what holds tensors: lists, tuples, dicts, and all that torch calls a pytree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

_pytree: Any = pytree
# Takes as many leaves as there were, and puts them together again.
Together = Callable[[Iterator[Any]], Any]
_LEAVES = {Tensor, nn.Parameter, type(None), bool, int, float, str}


def taken_apart(value: Any, leaves: list[Any]) -> Together:
    """Append what stands in `value` to `leaves`, from left to right; return the way back.

    As torch's pytrees do; these are asked only for what is rare, since they take longer over a
    list of weights than torch does over a layer.

    Example: of `(1, [2, {"a": 3}])` the leaves are `[1, 2, 3]`.
    """
    kind = value.__class__
    if kind in _LEAVES:
        leaves.append(value)
        return next
    if kind is list:
        parts = [taken_apart(item, leaves) for item in value]
        return lambda found: [part(found) for part in parts]
    if kind is tuple:
        parts = [taken_apart(item, leaves) for item in value]
        return lambda found: tuple([part(found) for part in parts])
    if kind is dict:
        named = {name: taken_apart(item, leaves) for name, item in value.items()}
        return lambda found: {name: part(found) for name, part in named.items()}
    others, spec = _pytree.tree_flatten(value)
    leaves += others
    return lambda found: _pytree.tree_unflatten([*islice(found, len(others))], spec)


def with_names(value: Any, name: str) -> list[tuple[str, Any]]:
    """Every leaf with its name. Example: `args[0]['weight']`."""
    leaves = _pytree.tree_flatten_with_path(value)[0]
    return [(name + _pytree.keystr(path), leaf) for path, leaf in leaves]


def number_of_leaves(value: Any) -> int:
    """How many there are."""
    leaves: list[Any] = []
    taken_apart(value, leaves)
    return len(leaves)

"""All tasks in one pass."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from metann.batching.axes import Arguments, require_constant
from metann.functional.transforms import is_compiling

_vmap: Any = import_module("torch._functorch.vmap")
_functorch: Any = import_module("torch._C._functorch")
_pytree: Any = pytree


def called_at_once(function: Callable[..., Any], given: Arguments, randomness: str) -> Any:
    """Call `function` once, on tensors that hide their task axis, under `torch.vmap`.

    What `torch.vmap` does, but for values that are no tensors: these pass through.
    """
    if is_compiling():
        return _by_torch(function, given, randomness)
    _vmap.lazy_load_decompositions()
    level = _functorch._vmap_increment_nesting(given.tasks, randomness)
    try:
        add, remove = _functorch._add_batch_dim, _functorch._remove_batch_dim
        leaves = [
            leaf if axis is None else add(leaf, axis, level)
            for leaf, axis in zip(given.leaves, given.axes, strict=True)
        ]
        found, spec = _pytree.tree_flatten(function(*given.together(leaves)))
        results: list[Any] = []
        for leaf in found:
            if isinstance(leaf, Tensor):
                results.append(remove(leaf, level, given.tasks, 0))
            else:
                require_constant(leaf)
                results.append(leaf)
    finally:
        _functorch._vmap_decrement_nesting()
    return _pytree.tree_unflatten(results, spec)


def _by_torch(function: Callable[..., Any], given: Arguments, randomness: str) -> Any:
    """By `torch.vmap` itself, which torch.compile knows."""

    def call(*leaves: Any) -> Any:
        return function(*given.together(leaves))

    vmapped: Any = torch.vmap(call, in_dims=tuple(given.axes), randomness=randomness)
    return vmapped(*given.leaves)

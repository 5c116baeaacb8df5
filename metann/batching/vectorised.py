"""All tasks in one pass."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from metann.batching.axes import Arguments, require_constant
from metann.batching.trees import taken_apart
from metann.functional.replacing import replacing
from metann.functional.transforms import is_compiling

_vmap: Any = import_module("torch._functorch.vmap")
_functorch: Any = import_module("torch._C._functorch")


def called_at_once(function: Callable[..., Any], given: Arguments, randomness: str) -> Any:
    """Call `function` once, on tensors that hide their task axis, under `torch.vmap`.

    What `torch.vmap` does, but values that are no tensors pass through, and within `function` our
    forms of torch's functions are in the place of those.
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
        found: list[Any] = []
        with replacing():
            output = function(*given.together(iter(leaves)))
        together = taken_apart(output, found)
        results: list[Any] = []
        for leaf in found:
            if isinstance(leaf, Tensor):
                results.append(remove(leaf, level, given.tasks, 0))
            else:
                require_constant(leaf)
                results.append(leaf)
    finally:
        _functorch._vmap_decrement_nesting()
    return together(iter(results))


def _by_torch(function: Callable[..., Any], given: Arguments, randomness: str) -> Any:
    """By `torch.vmap` itself, which torch.compile knows."""

    def call(*leaves: Any) -> Any:
        return function(*given.together(iter(leaves)))

    vmapped: Any = torch.vmap(call, in_dims=tuple(given.axes), randomness=randomness)
    return vmapped(*given.leaves)

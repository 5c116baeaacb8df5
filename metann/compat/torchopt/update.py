"""Adding updates to parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from metann.compat.torchopt.trees import Leaf, TreeT, leaves_like, leaves_of, rebuilt


def apply_updates(params: TreeT, updates: object, *, inplace: bool = True) -> TreeT:
    """Parameters plus updates, a tree like `params`; where an update is None, the parameter.

    Args:
        params: a tree of tensors.
        updates: of the same structure, from `update` of a transformation; dicts by their keys.
        inplace: write into the parameters and return these (True), or make new tensors, which
            can be differentiated by both (False).

    Raises:
        OptimizerError: there is not one update, or None, of its shape for each parameter.

    torch knows of the writing, other than in TorchOpt: a backward pass through a graph that needs
    the old values is an error, not a wrong gradient.

    Source: the function of this name in TorchOpt 0.7.
    """
    old = leaves_of(params)
    pairs = zip(old, leaves_like(params, updates), strict=True)
    add = _added_in_place if inplace else torch.add
    # A place that has no update has no new value, either.
    new: list[Leaf] = [
        param if update is None or param is None else add(param, update) for param, update in pairs
    ]
    return params if inplace else rebuilt(params, new)


def _added_in_place(param: Tensor, update: Tensor) -> Tensor:
    with torch.no_grad():
        return param.add_(update)

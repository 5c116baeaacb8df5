"""The backward passes of embedding bags, in operations that can be differentiated."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

# torch's stubs do not know these in full.
_torch: Any = import_module("torch")
# In the order of torch's numbers.
MODES = ("sum", "mean", "max")


def embedding_bag_backward(
    grad: Tensor,
    indices: Tensor,
    offsets: Tensor,
    offset2bag: Tensor,
    bag_size: Tensor,
    maximum_indices: Tensor,
    num_weights: int,
    scale_grad_by_freq: bool,
    mode: int,
    sparse: bool,
    per_sample_weights: Tensor | None,
    padding_idx: int = -1,
) -> Any:
    """The gradient of the table, as a computation that can be differentiated."""
    if MODES[mode] == "max":
        is_empty = (bag_size == 0).unsqueeze(-1)
        table = grad.new_zeros(num_weights, grad.shape[1])
        where = maximum_indices.masked_fill(is_empty, 0).long()
        return table.scatter_add(0, where, grad.masked_fill(is_empty, 0.0))
    if MODES[mode] == "mean":
        grad = grad / bag_size.clamp(min=1).unsqueeze(-1)
    rows = grad.index_select(0, _known_bags(offset2bag, offsets, indices, grad))
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    return _torch.ops.aten.embedding_backward(
        rows, indices, num_weights, padding_idx, scale_grad_by_freq, sparse
    )


def embedding_bag_weights_backward(
    grad: Tensor,
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    offset2bag: Tensor,
    mode: int,
    padding_idx: int = -1,
) -> Any:
    """The gradient of the factors of the rows, as a computation that can be differentiated."""
    del mode  # There are factors in a sum only.
    of_bags = grad.index_select(0, _known_bags(offset2bag, offsets, indices, grad))
    found = (torch.embedding(weight, indices) * of_bags).sum(-1)
    return found.masked_fill(indices == padding_idx, 0.0)


def bags_of(offsets: Tensor, number: int, size: int) -> Tensor:
    """The bag of each of `number` indices; what is behind the last offset is in the last bag."""
    starts = offsets.new_zeros(number + 1).index_add(0, offsets, torch.ones_like(offsets))
    return (starts.cumsum(0)[:number] - 1).clamp(max=size - 1)


def _known_bags(offset2bag: Tensor, offsets: Tensor, indices: Tensor, grad: Tensor) -> Tensor:
    """The bag of each index; some of torch's kernels do not note it."""
    if offset2bag.numel() == indices.numel():
        return offset2bag
    return bags_of(offsets, indices.numel(), grad.shape[0])

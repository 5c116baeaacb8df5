"""Affine maps of all tasks in one batched matrix product."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.task_axis import in_sight, innermost_vmap, out_of_sight


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`.

    Under a vmap with a weight of its own for each task it is one call of `torch.baddbmm`, and its
    gradient, taken outside, two of `torch.bmm`; torch's batching rule makes more operations of it.

    Args:
        input: shape (*, in_features).
        weight: shape (out_features, in_features).
        bias: shape (out_features,).

    Source: torch.nn.functional.linear.
    """
    level = innermost_vmap()
    if level is None:
        return F.linear(input, weight, bias)
    x, w = in_sight(input, level), in_sight(weight, level)
    if x is None or w is None or w.dim() != 3 or x.dim() < 2 or x.shape[-1] != w.shape[-1]:
        return F.linear(input, weight, bias)
    rows = x if x.dim() == 3 else x.unsqueeze(1) if x.dim() == 2 else x.flatten(1, -2)
    if bias is None:
        output = torch.bmm(rows, w.transpose(1, 2))
    else:
        b = in_sight(bias, level)
        output = torch.baddbmm(bias if b is None else b.unsqueeze(1), rows, w.transpose(1, 2))
    if x.dim() == 2:
        output = output.squeeze(1)
    elif x.dim() > 3:
        output = output.reshape(*x.shape[:-1], w.shape[1])
    return out_of_sight(output, level)

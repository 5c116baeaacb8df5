"""Mean squared errors of all tasks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.precision import autocast_dtype, lowered
from metann.functional.task_axis import in_sight, innermost_vmap, out_of_sight

_REDUCED = ("mean", "sum")


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The mean, or the sum, of squared differences.

    Under a vmap the square is a product: its second derivative takes half the operations of that of
    torch's kernel. Autocast computes it in float32, as it does that kernel.

    Args:
        input: shape (*).
        target: shape (*).
        size_average: what torch calls deprecated, and so is `reduce`.
        reduction: "mean", "sum" or "none".
        weight: of each entry, shape (*).

    Returns:
        shape (), or (*) if nothing is reduced.

    Source: torch.nn.functional.mse_loss.
    """
    level = innermost_vmap()
    is_usual = size_average is None and reduce is None and weight is None
    if level is not None and is_usual and reduction in _REDUCED and input.shape == target.shape:
        x, y = in_sight(input, level), in_sight(target, level)
        if (x is not None or y is not None) and input.dim() > 0:
            x, y = input if x is None else x, target if y is None else y
            if autocast_dtype(input.device.type) is not None:
                x, y = lowered(x, torch.float32), lowered(y, torch.float32)  # which is raising it
            difference = x - y
            squares = (difference * difference).flatten(1)
            found = squares.mean(1) if reduction == "mean" else squares.sum(1)
            return out_of_sight(found, level)
    weighted = {} if weight is None else {"weight": weight}  # torch 2.0 does not know it.
    return F.mse_loss(input, target, size_average, reduce, reduction, **weighted)

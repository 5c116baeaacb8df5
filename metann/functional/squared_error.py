"""Mean squared errors of all tasks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.precision import autocast_dtype, lowered
from metann.functional.task_axis import in_sight, innermost_vmap, out_of_sight
from metann.functional.transforms import plain_form_is_needed

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

    Under a vmap and in forward mode the square is a product. Its second derivative takes half the
    operations of that of torch's kernel; and that of the mean, forward over reverse, torch's kernel
    does not have if one of the two is a constant. Autocast computes it in float32, as it does the
    kernel. What the kernel takes or refuses is its own affair: complex numbers are an error.

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
    is_usual = size_average is None and reduce is None and weight is None
    if is_usual and reduction in _REDUCED and _have_plain_form(input, target):
        level = innermost_vmap()
        x = None if level is None else in_sight(input, level)
        y = None if level is None else in_sight(target, level)
        if level is not None and input.dim() > 0 and not (x is None and y is None):
            x, y = input if x is None else x, target if y is None else y
            return out_of_sight(_reduced(_squares(x, y).flatten(1), reduction, [1]), level)
        if plain_form_is_needed():
            return _reduced(_squares(input, target), reduction, None)
    weighted = {} if weight is None else {"weight": weight}  # torch 2.0 does not know it.
    return F.mse_loss(input, target, size_average, reduce, reduction, **weighted)


def _have_plain_form(x: Tensor, y: Tensor) -> bool:
    """Whether a product is what torch's kernel makes of them, which knows floating point alone."""
    is_float = x.is_floating_point() or y.is_floating_point()
    is_other = x.is_complex() or y.is_complex() or torch.bool in (x.dtype, y.dtype)
    return is_float and not is_other and x.shape == y.shape


def _squares(x: Tensor, y: Tensor) -> Tensor:
    if autocast_dtype(x.device.type) is not None:
        x, y = lowered(x, torch.float32), lowered(y, torch.float32)  # which is raising it
    difference = x - y
    return difference * difference


def _reduced(squares: Tensor, reduction: str, axes: list[int] | None) -> Tensor:
    return squares.mean(axes) if reduction == "mean" else squares.sum(axes)

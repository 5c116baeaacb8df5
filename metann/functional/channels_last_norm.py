"""Batch normalisation of images with the channels last, by exact statistics of the batch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

_aten: Any = torch.ops.aten
# Pieces that a batch is cut into at most: more of them are no more exact, and slower.
_PIECES = 56


def channels_last_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    momentum: float,
    eps: float,
) -> Tensor:
    """Normalise each channel over the batch, and update the running statistics in place.

    With the channels last, torch's kernel adds up a channel in one float32 sum: of 58 800 values
    its variance is off by 2e-5, enough to let a max pooling behind it choose another pixel in every
    third net. Here the sums are of pieces; it takes as long.

    Args:
        input: (N, C, H, W), contiguous with the channels last.
        running_mean: (C,), and so are `running_var`, `weight` and `bias`; None if not kept.
        momentum: how much of the batch goes into the running statistics.
        eps: added to the variance.

    Source: torch.nn.functional.batch_norm with training=True.
    """
    number = input.numel() // input.shape[1]
    with torch.no_grad():
        mean, var = _statistics(input, number)
        if running_mean is not None:
            running_mean.lerp_(mean, momentum)
        if running_var is not None:
            running_var.lerp_(var * (number / (number - 1)), momentum)
    function: Any = _Normalised
    output: Tensor = function.apply(input, weight, bias, mean, var, eps)
    return output


def _statistics(images: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The mean and variance of each channel, from those of pieces with as many pixels each."""
    pieces, channels = math.gcd(number, _PIECES), images.shape[1]
    rows = images.permute(0, 2, 3, 1).reshape(number // pieces, pieces * channels)
    found = _aten.batch_norm_update_stats(rows, None, None, 0.0)
    means, variances = (each.view(pieces, channels) for each in found)
    mean = means.mean(0)
    return mean, variances.mean(0) + (means - mean).square().mean(0)


class _Normalised(torch.autograd.Function):
    """torch's kernels, forward and backward, which take statistics as they are given."""

    @staticmethod
    @override
    def forward(ctx: Any, *args: Any) -> Tensor:
        """As in eval mode with these statistics."""
        input, weight, bias, mean, var, ctx.eps = args
        ctx.save_for_backward(input, weight, mean, (var + ctx.eps).rsqrt())
        output: Tensor = _aten.native_batch_norm(
            input, weight, bias, mean, var, False, 0.0, ctx.eps
        )[0]
        return output

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        """As in train mode; torch differentiates it, and the statistics with it."""
        input, weight, mean, scale = ctx.saved_tensors
        wanted = [*ctx.needs_input_grad[:3]]
        gradients = _aten.native_batch_norm_backward(
            grad_outputs[0], input, weight, None, None, mean, scale, True, ctx.eps, wanted
        )
        return (*gradients, None, None, None)

"""Convolutions of all tasks as one with a group for each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from metann.functional.slower import ask_about_convolution
from metann.functional.task_axis import all_in_sight, in_sight, innermost_vmap, out_of_sight

Numbers = int | Sequence[int]


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution along one axis; under a vmap as `conv2d`.

    Args:
        input: shape (N, C, L) or (C, L).
        weight: shape (out, C / groups, size).
        bias: shape (out,).
        stride: as torch's, and so are `padding`, `dilation` and `groups`.

    Source: torch.nn.functional.conv1d.
    """
    return _convolved(torch.conv1d, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution along two axes.

    Under a vmap with weights of its own for each task it is one convolution with a group for each
    task, as by torch's batching rule, which adds the bias in a pass of its own.

    Args:
        input: shape (N, C, H, W) or (C, H, W).
        weight: shape (out, C / groups, height, width).
        bias: shape (out,).
        stride: as torch's, and so are `padding`, `dilation` and `groups`.

    Source: torch.nn.functional.conv2d.
    """
    return _convolved(torch.conv2d, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution along three axes; under a vmap as `conv2d`.

    Args:
        input: shape (N, C, D, H, W) or (C, D, H, W).
        weight: shape (out, C / groups, depth, height, width).
        bias: shape (out,).
        stride: as torch's, and so are `padding`, `dilation` and `groups`.

    Source: torch.nn.functional.conv3d.
    """
    return _convolved(torch.conv3d, input, weight, bias, stride, padding, dilation, groups)


def _convolved(
    torchs: Callable[..., Any],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Numbers,
    padding: Numbers | str,
    dilation: Numbers,
    groups: int,
) -> Tensor:
    level = innermost_vmap()
    if level is not None and input.dim() == weight.dim():
        x, weights = in_sight(input, level, at=1), all_in_sight((weight, bias), level)
        if x is not None and weights is not None:
            ask_about_convolution(input, weight, stride)
            tasks = x.shape[1]
            w, b = (None if own is None else own.flatten(0, 1) for own in weights)
            output = torchs(x.flatten(1, 2), w, b, stride, padding, dilation, groups * tasks)
            shape = (x.shape[0], tasks, weight.shape[0], *output.shape[2:])
            return out_of_sight(output.reshape(shape), level, at=1)
    return cast("Tensor", torchs(input, weight, bias, stride, padding, dilation, groups))

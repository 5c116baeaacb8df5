"""Convolutions, which in all tasks at once may be slower than in a loop over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metann.functional.slower import ask_about_convolution
from metann.functional.task_axis import in_sight, innermost_vmap

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
    _ask(input, weight, stride)
    convolved: Any = torch.conv1d
    output: Tensor = convolved(input, weight, bias, stride, padding, dilation, groups)
    return output


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

    Under a vmap it is one convolution with a group for each task, by torch's own batching rule.
    For a large one that is slower than a call a task; who asks for that (`slower.py`) is told.

    Args:
        input: shape (N, C, H, W) or (C, H, W).
        weight: shape (out, C / groups, height, width).
        bias: shape (out,).
        stride: as torch's, and so are `padding`, `dilation` and `groups`.

    Source: torch.nn.functional.conv2d.
    """
    _ask(input, weight, stride)
    convolved: Any = torch.conv2d
    output: Tensor = convolved(input, weight, bias, stride, padding, dilation, groups)
    return output


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
    _ask(input, weight, stride)
    convolved: Any = torch.conv3d
    output: Tensor = convolved(input, weight, bias, stride, padding, dilation, groups)
    return output


def _ask(input: Tensor, weight: Tensor, stride: Numbers) -> None:
    """Before a convolution with weights of its own for each task, under a vmap."""
    level = innermost_vmap()
    if level is not None and input.dim() == weight.dim() and in_sight(weight, level) is not None:
        ask_about_convolution(input, weight, stride)

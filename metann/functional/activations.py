"""Activations in plain operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.derivatives import supply
from metann.functional.transforms import plain_form_is_needed, vmap_levels


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(x + 3) / 6` of each element.

    Args:
        input: any shape.
        inplace: write the result into `input` and return that.

    Source: torch.nn.functional.hardsigmoid.
    """
    if not plain_form_is_needed():
        supply()
        return F.hardsigmoid(input, inplace)
    result = F.relu6(input + 3) / 6
    return input.copy_(result) if inplace else result


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """The elements above zero; the others times a slope.

    Args:
        input: any shape.
        lower: the least slope.
        upper: the greatest slope.
        training: each slope is drawn between these; if not, it is the mean of the two. Under
            `torch.vmap` it is drawn as its argument `randomness` says.
        inplace: write the result into `input` and return that.

    Source: torch.nn.functional.rrelu.
    """
    if not plain_form_is_needed():
        return F.rrelu(input, lower, upper, training, inplace)
    # The derivative needs the values that are overwritten.
    x = input.clone() if inplace else input
    if training and vmap_levels():
        slopes = lower + (upper - lower) * torch.rand_like(x)
        result = torch.where(x > 0, x, x * slopes)
    elif training:
        # The same random numbers as outside of forward mode.
        result = F.rrelu(x, lower, upper, training)
    else:
        result = F.leaky_relu(x, (lower + upper) / 2)
    return input.copy_(result) if inplace else result

"""Normalisation across neighbouring channels, in plain operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_map_lrn(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Each channel over a power of the sum of squares around it.

    The sum is the one that torch computes: it keeps the first channel beyond the window's reach,
    and its window is the next smaller odd number of channels. The derivative is that of this sum;
    the one that torch writes by hand belongs to another.

    Args:
        input: shape (N, C, H, W).
        size: how many channels are summed.
        alpha: times the mean of the squares.
        beta: the power.
        k: what is added to the mean.

    Raises:
        ValueError: `input` has another number of dimensions.

    Source: torch.nn.CrossMapLRN2d, which has no function of its own.
    """
    if input.dim() != 4:
        raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
    reach, channels = (size - 1) // 2, input.shape[1]
    squares = input.square()
    padded = F.pad(squares, (0, 0, 0, 0, reach, reach))
    total = torch.stack([padded[:, i : i + channels] for i in range(2 * reach + 1)]).sum(0)
    is_beyond = torch.arange(channels, device=input.device) > reach
    total = total + squares[:, :1] * is_beyond.reshape(-1, 1, 1)
    return input * (k + alpha / size * total) ** -beta

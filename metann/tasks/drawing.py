"""Numbers drawn evenly from a range."""

from __future__ import annotations

import torch
from torch import Tensor

Range = tuple[float, float]
"""The lowest and the highest value."""


def uniform(
    span: Range,
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> Tensor:
    """Numbers from the range, each as likely as any other."""
    low, high = span
    unit = torch.rand(shape, generator=generator, device=device, dtype=dtype)
    return low + (high - low) * unit

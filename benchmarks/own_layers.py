"""Layers that no generated file knows, as a user writes them: `generator.py` has them converted."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Scale(nn.Module):
    """A factor for each feature."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (*, size) -> (*, size)."""
        return x * self.factor


class Shift(nn.Module):
    """A summand for each feature."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.summand = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (*, size) -> (*, size)."""
        return x + self.summand


class Gated(nn.Module):
    """A linear layer whose output has a gate."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.both = nn.Linear(size, 2 * size)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (*, size) -> (*, size)."""
        return F.glu(self.both(x))


class Residual(nn.Module):
    """What goes in is added to what comes out."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(size, size), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (*, size) -> (*, size)."""
        return torch.add(x, self.inner(x))


class Mixture(nn.Module):
    """Two branches, mixed by a weight that is learned."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(size, size), nn.Linear(size, size)
        self.share = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (*, size) -> (*, size)."""
        return torch.lerp(self.right(x), self.left(x), self.share)


def classes() -> list[type[nn.Module]]:
    """All of them."""
    return [Scale, Shift, Gated, Residual, Mixture]

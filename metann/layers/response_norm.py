"""What the normalisation across channels needs beside its generated class."""

from __future__ import annotations

from torch import Tensor, nn

from metann.functional.response_norm import cross_map_lrn


class NormalisesPlainly(nn.Module):
    """Has all derivatives, and the right ones: torch writes the first one by hand, and wrongly."""

    size: int
    alpha: float
    beta: float
    k: float

    def forward(self, input: Tensor) -> Tensor:
        """What torch's own forward returns."""
        return cross_map_lrn(input, self.size, self.alpha, self.beta, self.k)

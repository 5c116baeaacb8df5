"""The models that the tests of more than one library use."""

from __future__ import annotations

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Encodes(nn.Module):
    """Its method computes the layer again in the backward pass, and so does a call."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def encode(self, x: Tensor) -> Tensor:
        return checkpoint(self.linear, x, use_reentrant=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)


class Encoder(nn.Module):
    """The mean output of a transformer's layer; x is [examples, places, 4]."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean(1)

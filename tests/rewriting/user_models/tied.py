"""Weights and modules that stand in several places, and some that are looked for at run time."""

import copy

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 3)
        self.decoder = nn.Linear(3, 4, bias=False)
        self.decoder.weight = nn.Parameter(self.encoder.weight.t().detach().clone())
        self.again = self.encoder
        self.tied = nn.Linear(4, 3)
        self.tied.weight = self.encoder.weight
        self.clones = nn.ModuleList(copy.deepcopy(self.tied) for _ in range(2))
        self.register_parameter("unused", None)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        device = next(self.parameters()).device
        h = torch.tanh(self.encoder(x.to(device))) + self.again(x) + self.tied(x)
        for clone in self.clones:
            h = h * torch.sigmoid(clone(x))
        penalty = sum((p**2).sum() for p in self.parameters())
        return self.decoder(h) + 0.01 * penalty


class Siamese(nn.Module):
    def __init__(self, net: "nn.Module | None" = None) -> None:
        super().__init__()
        self.net = net or Autoencoder()
        self.twin = self.net
        self.norm = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.net(x) - self.twin(2 * x))


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Siamese(), (torch.randn(3, 4),)

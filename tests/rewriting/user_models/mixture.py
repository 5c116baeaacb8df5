"""A mixture of experts: modules in lists and dicts, classes in a registry, looked up by key."""

from typing import ClassVar

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}
INITIALISERS = {nn.Linear: nn.init.xavier_uniform_, nn.Bilinear: nn.init.xavier_normal_}


def initialise(module: nn.Module) -> None:
    initialiser = INITIALISERS.get(type(module))
    if initialiser is not None:
        initialiser(module.weight)


class Expert(nn.Module):
    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"in": nn.Linear(width, width), "act": nn.Module()})
        self.layers["act"] = ACTIVATIONS[activation]()
        self.scale = nn.ParameterDict({"s": nn.Parameter(torch.randn(width))})

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers.values():
            x = layer(x)
        return x * self.scale["s"]


class Mixture(nn.Module):
    """The gate mixes what the experts say."""

    kinds: ClassVar[dict[str, type[Expert]]] = {"expert": Expert}

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        kind = self.kinds["expert"]
        self.experts = nn.ModuleList([kind(width, name) for name in ACTIVATIONS])
        self.shift = nn.ParameterList([nn.Parameter(torch.randn(width)) for _ in self.experts])
        self.gate = nn.Sequential(nn.Linear(width, len(self.experts)), nn.Softmax(dim=-1))
        self.join = nn.Bilinear(width, width, 2)
        self.add_module("norm", nn.LayerNorm(2))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.gate(x).unbind(-1)
        mixed = torch.zeros_like(x)
        for gate, expert, shift in zip(gates, self.experts, self.shift, strict=True):
            mixed = mixed + gate.unsqueeze(-1) * (expert(x) + shift)
        return self.norm(self.join(mixed, x))


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Mixture(), (torch.randn(3, 4),)

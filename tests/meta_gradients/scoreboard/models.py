"""Users' models: what is done with weights and submodules, rather than by layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scoreboard.case import Case, normal, rows


class TiedEmbedding(nn.Module):
    """The output layer has the weight of the embedding, as in a language model."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.middle = nn.Linear(3, 3)
        self.output = nn.Linear(3, 5, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, which: Tensor) -> Tensor:
        return self.output(torch.tanh(self.middle(self.embedding(which))))


class TiedLayers(nn.Module):
    """Two layers with one weight and one bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight, self.second.bias = self.first.weight, self.first.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class TwoNames(nn.Module):
    """One submodule under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.again = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.again(torch.tanh(self.first(x)))


class Listed(nn.Module):
    """Its parameters are in a ParameterList."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(3, 4), torch.randn(4, 2)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weights[0]) @ self.weights[1]


class Named(nn.Module):
    """Its parameters are in a ParameterDict."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({"into": torch.randn(3, 4), "out": torch.randn(4, 2)})

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weights["into"]) @ self.weights["out"]


class ReadsItsChild(nn.Module):
    """Uses the weight of its child beside calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.child(x)) @ self.child.weight + self.child.bias.sin()


class Looping(nn.Module):
    """Goes through a ModuleList, and looks something up in a ModuleDict."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.heads = nn.ModuleDict({"mean": nn.Linear(3, 2), "other": nn.Linear(3, 2)})

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return self.heads["mean"](x)


class Scaled(nn.Module):
    """Has a parameter and a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(2))
        self.register_buffer("shift", torch.randn(2))
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x)) * self.scale + self.shift


class Unused(nn.Module):
    """Has a layer and a parameter that its forward does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.layer = nn.Linear(3, 2)
        self.alone = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x))


class Residual(nn.Module):
    """A block as in a ResNet, with batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.convolved = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.normalised = nn.BatchNorm2d(2)
        self.head = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x + torch.tanh(self.normalised(self.convolved(x)))
        return self.head(x.mean((-1, -2)))


def mlp() -> nn.Sequential:
    """`(n, 3)` to `(n, 2)`."""
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def frozen() -> nn.Sequential:
    """Its first layer is not trained."""
    net = mlp()
    net[0].requires_grad_(False)
    return net


def normalised() -> nn.Sequential:
    """With batch normalisation."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


def dropping() -> nn.Sequential:
    """With dropout, the same in each repetition of a call."""
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, 2))


def lazy() -> nn.Sequential:
    """Learns its shapes from the first call."""
    return nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(2))


_X = normal(5, 3)

LAZY = Case("a lazy module, right after its first call", lazy, _X, is_lazy=True)
MODELS = (
    Case("tied embedding and output", TiedEmbedding, rows(2, 4, of=5)),
    Case("tied layers", TiedLayers, _X),
    Case("one submodule under two names", TwoNames, _X),
    Case("a ParameterList", Listed, _X),
    Case("a ParameterDict", Named, _X),
    Case("a parent that reads its child's weight", ReadsItsChild, _X),
    Case("a ModuleList and a ModuleDict", Looping, _X),
    Case("a module with weights and a buffer of its own", Scaled, _X),
    Case("unused parameters", Unused, _X),
    Case("frozen parameters", frozen, _X),
    Case("BatchNorm1d, train", normalised, _X),
    Case("BatchNorm1d, eval", normalised, _X, training=False),
    Case("a residual block with BatchNorm2d", Residual, normal(2, 2, 3, 3)),
    Case("dropout", dropping, _X),
    LAZY,
)

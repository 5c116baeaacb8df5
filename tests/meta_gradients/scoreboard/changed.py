"""Models whose weights, calls or backward passes something was hung onto."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, weight_norm
from torch.utils.checkpoint import checkpoint

from scoreboard.attention import encoder, encoder_layer
from scoreboard.case import Case, normal
from scoreboard.models import mlp


class Symmetric(nn.Module):
    """Somebody's own parametrization, with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(3) + 0.5)

    def forward(self, matrix: Tensor) -> Tensor:
        return self.scale * (matrix + matrix.mT)


class Recomputing(nn.Module):
    """Its block is run again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.last(checkpoint(self.block, x, use_reentrant=False))


def _square() -> nn.Linear:
    return nn.Linear(3, 3)


def orthogonal() -> nn.Module:
    """The weight is orthogonal."""
    return nn.Sequential(parametrizations.orthogonal(_square()), nn.Tanh(), nn.Linear(3, 2))


def spectral() -> nn.Module:
    """The weight's largest singular value is 1."""
    return nn.Sequential(parametrizations.spectral_norm(_square()), nn.Tanh(), nn.Linear(3, 2))


def normed() -> nn.Module:
    """The weight is given by its rows' norms and directions."""
    return nn.Sequential(parametrizations.weight_norm(_square()), nn.Tanh(), nn.Linear(3, 2))


def normed_as_before() -> nn.Module:
    """The same by the function that torch has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(weight_norm(_square()), nn.Tanh(), nn.Linear(3, 2))


def symmetric() -> nn.Module:
    """By a parametrization of the user's."""
    square = _square()
    parametrize.register_parametrization(square, "weight", Symmetric())
    return nn.Sequential(square, nn.Tanh(), nn.Linear(3, 2))


def with_hook() -> nn.Module:
    """A hook changes an output, by a weight of the module that it gets."""

    def hook(module: nn.Linear, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
        return out.sin() + module.weight.sum()

    net = mlp()
    net[0].register_forward_hook(hook)
    return net


class Multiplied(nn.Module):
    """Takes a keyword argument."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor, *, factor: float) -> Tensor:
        return torch.tanh(self.layer(x)) * factor


def with_kwargs_hook() -> nn.Module:
    """A hook uses the keyword arguments."""

    def hook(module: Any, args: Any, kwargs: dict[str, float], out: Tensor) -> Tensor:
        return out + kwargs["factor"] * module.layer.weight.sum().sin()

    net = Multiplied()
    net.register_forward_hook(hook, with_kwargs=True)
    return net


def with_pre_hook() -> nn.Module:
    """A hook changes the inputs, by a weight."""

    def hook(module: nn.Linear, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(arg * module.bias.sin().sum() for arg in args)

    net = mlp()
    net[2].register_forward_pre_hook(hook)
    return net


def with_kwargs_pre_hook() -> nn.Module:
    """A hook changes the keyword arguments, by a weight."""

    def hook(module: Any, args: Any, kwargs: dict[str, float]) -> tuple[Any, dict[str, Any]]:
        return args, {"factor": kwargs["factor"] * module.layer.weight.sum().cos()}

    net = Multiplied()
    net.register_forward_pre_hook(hook, with_kwargs=True)
    return net


_X = normal(5, 3)
_FACTOR = {"factor": 1.5}

CHANGED = (
    Case("orthogonal", orthogonal, _X),
    Case("spectral_norm, eval", spectral, _X, training=False),
    Case("weight_norm", normed, _X),
    Case("a user's parametrization", symmetric, _X),
    Case("a forward hook", with_hook, _X),
    Case("a forward pre-hook", with_pre_hook, _X),
    Case("a forward hook with kwargs", with_kwargs_hook, _X, options=_FACTOR),
)

FURTHER = (
    Case("weight_norm, the deprecated function", normed_as_before, _X),
    Case("a forward pre-hook with kwargs", with_kwargs_pre_hook, _X, options=_FACTOR),
    Case("activation checkpointing inside", Recomputing, _X),
    Case("TransformerEncoderLayer, eval", encoder_layer, normal(3, 2, 4), training=False),
    Case("TransformerEncoder, eval", encoder, normal(2, 3, 4), training=False),
)

"""Small models, fresh weights for them, and what torch computes with these weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn


def mlp() -> nn.Sequential:
    """Linear, tanh, Linear: `(n, 3) -> (n, 2)`; parameters 0.weight, 0.bias, 2.weight, 2.bias."""
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def normalised() -> nn.Sequential:
    """With running statistics: `(n, 3) -> (n, 2)`."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


class Tied(nn.Module):
    """Two layers that share one parameter: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3, bias=False)
        self.middle = nn.Tanh()
        self.decoder = nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.middle(self.encoder(x)))


class Shared(nn.Module):
    """One layer under two names: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class Scaled(nn.Module):
    """A user's own module with parameters and a buffer of its own: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(2))
        self.register_buffer("shift", torch.randn(2))
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale + self.shift


class Counting(nn.Module):
    """Replaces its buffers in every call: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("mean", torch.randn(2))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        out = self.layer(x)
        self.mean = 0.9 * self.mean + 0.1 * out.detach().mean(0)
        return out + self.mean


def inputs(*shape: int) -> Tensor:
    """Random, never zero."""
    return torch.randn(*(shape or (5, 3)))


def fresh(net: nn.Module) -> list[Tensor]:
    """Random leaves in the order of `net.parameters()`."""
    return [torch.randn_like(p).requires_grad_() for p in net.parameters()]


def computed(net: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Random leaves, and as many tensors computed from them."""
    leaves = fresh(net)
    return leaves, [torch.tanh(leaf) * 0.7 for leaf in leaves]


def by_name(net: nn.Module, weights: list[Tensor]) -> dict[str, Tensor]:
    """`weights` under the names of `net.named_parameters()`."""
    return {name: w for (name, _), w in zip(net.named_parameters(), weights, strict=True)}


def expected(net: nn.Module, weights: list[Tensor], *args: Any, training: bool = True) -> Any:
    """What torch computes on a copy of `net` with these weights."""
    copied = deepcopy(net).train(training)
    return torch.func.functional_call(copied, by_name(net, weights), args)


def state_of(net: nn.Module) -> dict[str, Any]:
    """Everything of a model that must not change: classes, identities, values, modes."""
    tensors = [*net.named_parameters(), *net.named_buffers()]
    return {
        "classes": [(name, type(m)) for name, m in net.named_modules()],
        "modules": [id(m) for m in net.modules()],
        "modes": [m.training for m in net.modules()],
        "attributes": [sorted(vars(m)) for m in net.modules()],
        "tensors": [(name, id(t), t._version) for name, t in tensors],
        "values": [t.detach().clone().tolist() for _, t in tensors],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
    }


def same(found: Tensor, wanted: Tensor) -> bool:
    """Equal up to rounding, and not trivially so."""
    return bool(wanted.abs().sum() > 0) and torch.allclose(found, wanted, rtol=1e-12, atol=1e-12)

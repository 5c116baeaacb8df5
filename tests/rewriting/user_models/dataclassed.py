from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(eq=False)
class MLP(nn.Module):
    """A module whose constructor is written by `dataclass`."""

    inputs: int
    width: int = 4
    act: Callable[[], nn.Module] = nn.GELU
    kinds: list[type[nn.Module]] = field(default_factory=lambda: [nn.Linear, nn.LayerNorm])

    def __post_init__(self) -> None:
        super().__init__()
        kind, norm = self.kinds
        self.layers = nn.Sequential(kind(self.inputs, self.width), norm(self.width), self.act())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@dataclass(eq=False)
class Deep(nn.Module):
    first: nn.Module
    second: nn.Module

    def __new__(cls, *args: nn.Module, **kwargs: nn.Module) -> Deep:
        made = super().__new__(cls)
        nn.Module.__init__(made)
        return made

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Deep(MLP(3), second=MLP(4, act=nn.Tanh)), (torch.randn(2, 3),)

"""Functions that make modules of classes that they are given."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm1d, nn.GroupNorm, nn.LayerNorm)
Layer = Callable[..., nn.Module]


def norm_act(width: int, norm_layer: Layer = nn.BatchNorm1d, act: Layer = nn.ReLU6) -> nn.Module:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["norm"] = norm_layer(width)
    parts["act"] = act()
    return nn.Sequential(parts)


def layer(kind: str) -> Layer:
    if kind == "group":
        return partial(nn.GroupNorm, 2)
    return {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[kind]


def mlp(*widths: int, norm: str = "batch", **kwargs: Any) -> nn.Sequential:
    net = nn.Sequential()
    for n, (a, b) in enumerate(pairwise(widths)):
        net.add_module(f"linear{n}", nn.Linear(a, b))
        net.add_module(f"norm{n}", norm_act(b, layer(norm), **kwargs))
    for module in net.modules():
        if isinstance(module, NORMS) and not isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight)
    return net


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList([mlp(3, 4, 4, norm=kind) for kind in ("batch", "group", "layer")])
        self.last = mlp(12, 2, act=partial(nn.Threshold, 0.1, 0.2))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([net(x) for net in self.nets], dim=1))


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Net(), (torch.randn(6, 3),)

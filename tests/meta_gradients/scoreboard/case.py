"""What a case is: a module, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Case:
    """A module to meta-train; the same one and the same data each time it is asked for."""

    name: str
    make: Callable[[], nn.Module]
    # The positional arguments of one call, drawn anew for each call.
    inputs: Callable[[], tuple[Any, ...]]
    training: bool = True
    # Keyword arguments of every call.
    options: dict[str, Any] = field(default_factory=dict)
    # Its weights have no shape before the first call.
    is_lazy: bool = False

    def module(self) -> nn.Module:
        """The module, with no parameter and no running statistic left at 0 or 1."""
        torch.manual_seed(1)
        built = self.make().train(self.training)
        if self.is_lazy:
            built(*self.inputs_of(0), **self.options)
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
            for name, buffer in built.named_buffers():
                if name.endswith(("running_mean", "running_var")):
                    buffer.add_(torch.rand_like(buffer))
        return built

    def inputs_of(self, call: int) -> tuple[Any, ...]:
        """What this call, of those in a loop, is given."""
        torch.manual_seed(100 + call)
        return self.inputs()

    def loss(self, function: Callable[..., Any], call: int) -> Tensor:
        """How far the real outputs of `function` are from random targets."""
        inputs = self.inputs_of(call)
        output = function(*inputs, **self.options)
        torch.manual_seed(200 + call)
        pairs = [(found, torch.randn_like(found)) for found in real_tensors_in(output)]
        return torch.stack([(found - target).square().mean() for found, target in pairs]).sum()

    def __str__(self) -> str:
        return self.name


def real_tensors_in(value: Any) -> list[Tensor]:
    """Every real tensor in `value`, in order."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    items = value if isinstance(value, list | tuple) else ()
    return [tensor for item in items for tensor in real_tensors_in(item)]


def normal(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    """One normal tensor."""
    return lambda: (torch.randn(shape),)


def normals(*shapes: tuple[int, ...]) -> Callable[[], tuple[Tensor, ...]]:
    """One normal tensor of each shape."""
    return lambda: tuple(torch.randn(shape) for shape in shapes)


def rows(*shape: int, of: int) -> Callable[[], tuple[Tensor, ...]]:
    """Which of the rows of a table to look up."""
    return lambda: (torch.randint(of, shape),)

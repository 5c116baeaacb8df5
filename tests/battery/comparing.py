"""What both batteries do: copy inputs, run from a fixed seed, differentiate, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def seed_torch(seed: int) -> None:
    """Seed the CPU alone: torch.manual_seed takes 4 ms, to note the stack for other devices."""
    torch.default_generator.manual_seed(seed)


def mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """`value` with every tensor inside it, at any depth, replaced by `function` of it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: mapped(function, item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(function, item) for item in value))
    if isinstance(value, list | tuple):
        return type(value)([mapped(function, item) for item in value])
    return value


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor inside `value`, in order."""
    found: list[Tensor] = []
    mapped(found.append, value)
    return found


def ramp(like: Tensor) -> Tensor:
    """Fixed numbers between 0.5 and 1.5, no two alike, in the shape of `like`."""
    return 1.0 + 0.5 * torch.arange(like.numel(), dtype=like.dtype).sin().view(like.shape)


def scalar(output: Any) -> Tensor:
    """A number that depends on every real output, with a different first and second derivative."""
    real = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
    return torch.stack([(ramp(x) * (x + x.square() / 2)).sum() for x in real]).sum()


def gradients(value: Tensor, of: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    """d value / d each tensor, zeros for those that it does not depend on."""
    if not of or not value.requires_grad:
        return [torch.zeros_like(tensor) for tensor in of]
    found = torch.autograd.grad(
        value, of, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(found)


def load(module: nn.Module, values: Iterable[Tensor]) -> nn.Module:
    """Give values to the parameters of a plain module, in their order; the same module."""
    for parameter, value in zip(module.parameters(), values, strict=True):
        # Not in place: torch's weight norm shares the storage with the parameter it replaces.
        parameter.data = value.detach().clone()
    return module


def assert_same(actual: Sequence[Tensor], expected: Sequence[Tensor], roundings: float) -> None:
    """The same numbers up to so many roundings of the largest of them, kind by kind."""
    assert len(actual) == len(expected)
    for number, (one, other) in enumerate(zip(actual, expected, strict=True)):
        assert (one.dtype, one.layout) == (other.dtype, other.layout)
        assert one.shape == other.shape
        if torch.equal(one, other):
            continue
        assert one.is_floating_point(), f"tensor {number}: {one} is not {other}"
        one, other = one.detach().to_dense(), other.detach().to_dense()
        finite = other.abs()[other.isfinite()]
        largest = max([1.0, *([float(finite.max())] if finite.numel() else [])])
        tolerance = roundings * torch.finfo(one.dtype).eps * largest
        torch.testing.assert_close(one, other, rtol=0.0, atol=tolerance, equal_nan=True)

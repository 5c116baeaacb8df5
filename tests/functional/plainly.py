"""A form inside a transform, called with values that are not batched, and against reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad


def plainly(form: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the plain form gives for the arguments, without any batch or tangent."""
    with forward_ad.dual_level():
        return form(*args, **kwargs)


def assert_same_as_torchs(ours: Callable[..., Any], torchs: Callable[..., Any], *args: Any) -> None:
    """Within transforms to machine precision, and outside the very numbers."""
    expected = torchs(*args)
    assert torch.equal(ours(*args), expected)
    found = plainly(ours, *args)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


def assert_forward_mode_is_reverse_mode(
    function: Callable[..., Any], inputs: Sequence[Tensor]
) -> None:
    """Along a direction, first and second derivatives of both modes agree.

    For functions whose derivative torch takes, on purpose, from another function; finite
    differences would not find it.
    """
    directions = tuple(torch.randn_like(tensor) for tensor in inputs)

    def slope(*tensors: Tensor) -> Tensor:
        leaves = [t.detach().requires_grad_() if not t.requires_grad else t for t in tensors]
        value = function(*leaves).square().sum()
        found = torch.autograd.grad(value, leaves, create_graph=True)
        pairs = zip(found, directions, strict=True)
        return torch.stack([(gradient * d).sum() for gradient, d in pairs]).sum()

    def value(*tensors: Tensor) -> Tensor:
        return function(*tensors).square().sum()

    def forward_slope(*tensors: Tensor) -> Tensor:
        return torch.func.jvp(value, tensors, directions)[1]

    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    first = slope(*leaves)
    second = torch.autograd.grad(first, leaves)
    numbers = tuple(range(len(leaves)))
    forward_first = forward_slope(*inputs)
    forward_second = torch.func.jvp(
        lambda *tensors: torch.func.grad(value, argnums=numbers)(*tensors),
        tuple(inputs),
        directions,
    )[1]
    torch.testing.assert_close(forward_first, first.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(forward_second, second, rtol=1e-11, atol=1e-11)

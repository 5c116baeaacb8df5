"""Nets with running statistics, and the buffers that plain torch leaves."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call


def normalising() -> nn.Sequential:
    """Two normalisations, far from their first statistics."""
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.BatchNorm1d(5)).double()
    with torch.no_grad():
        for buffer in net.buffers():
            if buffer.is_floating_point():
                buffer.add_(torch.rand_like(buffer))
    return net


def weights_of(net: nn.Module) -> list[Tensor]:
    return [(p * 1.1).detach().requires_grad_() for p in net.parameters()]


def state_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in net.named_buffers()}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert [*found] == [*expected]
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=1e-12, msg=name)


def plain(net: nn.Module, params: list[Tensor], *batches: Tensor) -> dict[str, Tensor]:
    """The buffers after calls of a copy of `net` that holds `params`."""
    names = [name for name, _ in net.named_parameters()]
    buffers = state_of(net)
    for batch in batches:
        functional_call(net.train(), (dict(zip(names, params, strict=True)), buffers), (batch,))
    return buffers


def batches(number: int) -> list[Tensor]:
    return [torch.randn(6, 4, dtype=torch.float64) + i for i in range(number)]

"""What a model returns under some weights, and the gradients: against another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from fields import fields
from torch import Tensor, nn


def near(net: nn.Module) -> list[Tensor]:
    """Weights near those of the net, as leaves."""
    return [
        (p.detach() + 0.05 * torch.randn_like(p)).requires_grad_(p.requires_grad)
        for p in net.parameters()
    ]


def results(weights: Sequence[Tensor]) -> list[Tensor]:
    """The same values, as results of a computation."""
    return [1.0 * w for w in weights]


def put(weights: Sequence[Tensor], net: nn.Module) -> nn.Module:
    """The net with these values in its parameters."""
    for parameter, value in zip(net.parameters(), weights, strict=True):
        parameter.data.copy_(value.detach())
    return net


def assert_same(found: Any, wanted: Any) -> None:
    """The same fields with the same numbers."""
    ours, theirs = dict(fields(found)), dict(fields(wanted))
    assert list(ours) == list(theirs)
    assert any(bool(value.count_nonzero()) for value in theirs.values())
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-10, msg=name)


def loss_of(output: Any) -> Tensor:
    """The mean squares of all fields, added."""
    squares = [t.square().mean() for _, t in fields(output) if t.requires_grad]
    return torch.stack(squares).sum()


def gradients(output: Any, weights: Sequence[Tensor], **options: Any) -> tuple[Tensor, ...]:
    """Those of the loss, for all weights that require some."""
    trained = [w for w in weights if w.requires_grad]
    return torch.autograd.grad(loss_of(output), trained, materialize_grads=True, **options)


def assert_same_gradients(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    assert any(bool(g.count_nonzero()) for g in wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def is_slope(found: float, function: Callable[[float], float]) -> bool:
    """Whether `found` is the derivative of `function` at 0, by differences of fourth order.

    One step must show it: a long one may step over the kink of a ReLU.
    """

    def slope(step: float) -> float:
        inner, outer = function(step) - function(-step), function(2 * step) - function(-2 * step)
        return (8 * inner - outer) / (12 * step)

    return found != 0 and any(
        abs(slope(step) - found) < 1e-6 * abs(found) for step in (1e-4, 1e-5, 1e-6, 1e-3)
    )

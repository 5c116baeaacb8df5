"""Inner loops written out by hand, on torch alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

Weights = dict[str, Tensor]
Loss = Callable[[nn.Module], Tensor]

CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
"""As two orders of adding float64 numbers agree."""


def loss_at(model: nn.Module, weights: Weights, x: Tensor, y: Tensor) -> Tensor:
    """The loss under other weights, with copies of the buffers."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return F.cross_entropy(functional_call(model, {**weights, **buffers}, (x,)), y)


def gradients(loss: Tensor, weights: Weights, order: int = 2) -> Weights:
    """By name; with `order=1` they are constants."""
    found = torch.autograd.grad(loss, [*weights.values()], create_graph=order == 2)
    return dict(zip(weights, found, strict=True))


def descended(
    model: nn.Module, data: list[tuple[Tensor, Tensor]], lr: Any, order: int = 2
) -> tuple[Weights, Weights]:
    """The weights before and after a step of gradient descent on each batch."""
    first = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    weights = first
    for x, y in data:
        grads = gradients(loss_at(model, weights, x, y), weights, order)
        weights = {name: p - lr * grads[name] for name, p in weights.items()}
    return first, weights


def trained(
    model: nn.Module, make: Callable[[nn.Module], torch.optim.Optimizer], losses: list[Loss]
) -> nn.Module:
    """A copy of the model, trained in place by torch's optimiser, a step for each loss."""
    copied = copy.deepcopy(model)
    opt = make(copied)
    for loss in losses:
        opt.zero_grad()
        loss(copied).backward()
        opt.step()
    return copied


def slope(function: Callable[[nn.Module], Tensor], model: nn.Module, along: list[Tensor]) -> Tensor:
    """The derivative of a function of a model along a direction, by central differences."""
    values = []
    for step in (1e-6, -2e-6, 1e-6):
        with torch.no_grad():
            for p, direction in zip(model.parameters(), along, strict=True):
                p.add_(step * direction)
        values.append(function(model).detach())
    return (values[0] - values[1]) / 2e-6


def require_slope(
    function: Callable[[nn.Module], Tensor], model: nn.Module, *, rtol: float, atol: float
) -> None:
    """The gradient of a function of a model, along a random direction, is its slope there."""
    along = [torch.randn_like(p) for p in model.parameters()]
    grads = torch.autograd.grad(function(model), [*model.parameters()])
    found = sum((g * v).sum() for g, v in zip(grads, along, strict=True))
    torch.testing.assert_close(found, slope(function, model, along), rtol=rtol, atol=atol)

"""What the tests of IMAML share: a loss, settings, and its inner loop in plain torch."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from few_shot_cases import Data, classification
from references import Named
from torch import Tensor, nn

from metann.meta import IMAML
from metann.meta.linear_solvers import conjugate_gradient

exactly = partial(conjugate_gradient, tolerance=1e-13, steps=500)
RATE, STRENGTH = 0.1, 3.0


def regression(model: nn.Module, data: Data) -> Tensor:
    return (model(data[0]) - data[1]).square().mean()


def adapted_in_place(model: nn.Module, support: Data, steps: int) -> nn.Module:
    """Gradient descent on the loss with its proximal term, by torch alone."""
    moved = copy.deepcopy(model)
    pairs = [
        (weight, slow.detach())
        for weight, slow in zip(moved.parameters(), model.parameters(), strict=True)
    ]
    descent = torch.optim.SGD(moved.parameters(), RATE)
    for _ in range(steps):
        descent.zero_grad()
        way = sum((weight - slow).square().sum() for weight, slow in pairs)
        (classification(moved, support) + STRENGTH / 2 * way).backward()
        descent.step()
    return moved


def gradients_of(module: nn.Module) -> Named:
    """What backward() has left, and leaves none behind."""
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named_in(module)}
    module.zero_grad()
    return found


def named_in(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [*module.named_parameters()]


def imaml_of(model: nn.Module, steps: int, evaluator: Any = classification, **more: Any) -> Any:
    settings: dict[str, Any] = {"lr": RATE, "strength": STRENGTH, "solver": exactly, **more}
    return IMAML(model, steps, steps, evaluator=evaluator, **settings)

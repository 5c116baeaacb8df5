"""Inner loops: steps of SGD on computed weights, and the same by training a copy in place."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from small_nets import same
from torch import Tensor, nn

from metann import DependentModule, Learner

RATE = 0.1
Forward = Callable[[list[Tensor], Tensor], Tensor]


def loss_of(output: Tensor) -> Tensor:
    return (output - 0.3).square().mean()


def steps(forward: Forward, start: list[Tensor], data: Tensor) -> list[Tensor]:
    """The weights after a step of SGD for each batch; frozen and unused ones stay."""
    weights = start
    for x in data:
        trained = [w for w in weights if w.requires_grad]
        loss = loss_of(forward(weights, x))
        slopes = torch.autograd.grad(loss, trained, create_graph=True, allow_unused=True)
        slope_of = dict(zip(map(id, trained), slopes, strict=True))
        weights = [
            w if slope_of.get(id(w)) is None else w - RATE * slope_of[id(w)] for w in weights
        ]
    return weights


def steps_in_place(net: nn.Module, data: Tensor) -> list[Tensor]:
    """The parameters of a copy that torch's own optimiser has trained."""
    copied = deepcopy(net)
    optimiser = torch.optim.SGD(copied.parameters(), lr=RATE)
    for x in data:
        optimiser.zero_grad()
        loss_of(copied(x)).backward()
        optimiser.step()
    return [*copied.parameters()]


def by_learner(net: nn.Module) -> Forward:
    learner = Learner(net)
    return lambda weights, x: learner.functional(weights, True, x)


def by_substitution(net: nn.Module) -> Forward:
    copied = DependentModule.stateless(net)

    def forward(weights: list[Tensor], x: Tensor) -> Tensor:
        copied.substitute_from_list(weights)
        return copied(x)

    return forward


def all_same(found: list[Tensor], wanted: list[Tensor]) -> bool:
    return len(found) == len(wanted) and all(map(same, found, wanted))

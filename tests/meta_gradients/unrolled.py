"""The loss after two inner steps of SGD: differentiable, and by finite differences in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from scoreboard.case import Case
from torch import Tensor, nn

from metann import DependentModule, Learner

STEPS, RATE = 2, 0.3
Weights = list[Tensor]
# The loss of one call, by its number, under some weights.
Loss = Callable[[Weights, int], Tensor]


def by_learner(case: Case) -> tuple[Loss, Weights]:
    """The loss by `Learner.functional`, and the weights to start from."""
    net = case.module()
    learner = Learner(net)

    def loss(weights: Weights, call: int) -> Tensor:
        def forward(*args: object, **kwargs: object) -> object:
            return learner.functional(weights, case.training, *args, **kwargs)

        return case.loss(forward, call)

    return loss, _starting_weights(net)


def by_substitution(case: Case) -> tuple[Loss, Weights]:
    """The same by one dependent module whose dependents are substituted for each call."""
    net = case.module()
    start, names = _starting_weights(net), [name for name, _ in net.named_parameters()]
    dependent = DependentModule(net).clear_params()

    def loss(weights: Weights, call: int) -> Tensor:
        dependent.substitute(dict(zip(names, weights, strict=True)))
        return case.loss(dependent, call)

    return loss, start


def _starting_weights(net: nn.Module) -> Weights:
    return [p.detach().clone().requires_grad_(p.requires_grad) for p in net.parameters()]


def unrolled(
    loss: Loss, start: Weights, steps: int = STEPS, create_graph: bool = True
) -> tuple[Tensor, list[Tensor]]:
    """The loss after the inner steps, and its gradient by those weights that are trained."""
    weights = start
    for call in range(steps):
        weights = _stepped(weights, loss(weights, call), create_graph)
    outer = loss(weights, steps)
    trained = [weight for weight in start if weight.requires_grad]
    gradient = torch.autograd.grad(outer, trained, allow_unused=True, materialize_grads=True)
    return outer, [*gradient]


def _stepped(weights: Weights, loss: Tensor, create_graph: bool) -> Weights:
    """One step of SGD; what is frozen or unused stays as it is."""
    trained = [index for index, weight in enumerate(weights) if weight.requires_grad]
    slopes = torch.autograd.grad(
        loss, [weights[i] for i in trained], create_graph=create_graph, allow_unused=True
    )
    after = [*weights]
    for index, slope in zip(trained, slopes, strict=True):
        if slope is not None:
            after[index] = weights[index] - RATE * slope
    return after


def in_place(
    case: Case, direction: Sequence[Tensor], distance: float = 0.0, steps: int = STEPS
) -> Tensor:
    """The same loss by torch alone: a plain module, its parameters moved, trained in place."""
    net = case.module()
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    _add(trained, direction, distance)
    for call in range(steps):
        slopes = torch.autograd.grad(case.loss(net, call), trained, allow_unused=True)
        _add(trained, slopes, -RATE)
    return case.loss(net, steps).detach()


def _add(parameters: list[Tensor], others: Sequence[Tensor | None], factor: float) -> None:
    with torch.no_grad():
        for parameter, other in zip(parameters, others, strict=True):
            if other is not None:
                parameter.add_(other, alpha=factor)


def slope_along(case: Case, direction: Sequence[Tensor], steps: int = STEPS) -> Tensor:
    """The derivative of `in_place` along a direction, by central differences of fourth order."""
    step = 1e-3
    near, far = (
        in_place(case, direction, distance, steps) - in_place(case, direction, -distance, steps)
        for distance in (step, 2 * step)
    )
    return (8 * near - far) / (12 * step)


def direction_for(gradient: Sequence[Tensor]) -> list[Tensor]:
    """A random direction, of length 1, in the space of all the weights."""
    torch.manual_seed(7)
    drawn = [torch.randn_like(tensor) for tensor in gradient]
    length = torch.stack([tensor.square().sum() for tensor in drawn]).sum().sqrt()
    return [tensor / length for tensor in drawn]


def along(gradient: Sequence[Tensor], direction: Sequence[Tensor]) -> Tensor:
    """The derivative that a gradient gives along a direction."""
    return torch.stack([(g * d).sum() for g, d in zip(gradient, direction, strict=True)]).sum()

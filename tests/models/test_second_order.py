"""A step through a gradient step: its gradient equals finite differences, and torch's own."""

from __future__ import annotations

import torch
from plain_models import Case, Made, Weights, gradients, is_slope, loss_of, made
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from zoo import both_modes, every, every_attention


def stepped(weights: Weights, found: Weights) -> list[Tensor]:
    """The weights after one step down the gradients of those that have some."""
    steps = iter(found)
    return [w - 0.1 * next(steps) if w.requires_grad else w for w in weights]


def after_a_step(model: Made, weights: Weights, training: bool) -> Tensor:
    """The loss after one step of gradient descent."""
    trained = [w for w in weights if w.requires_grad]
    loss = model.loss(weights, training)
    found = torch.autograd.grad(loss, trained, create_graph=True, materialize_grads=True)
    return model.loss(stepped(weights, found), training)


def moved(weights: Weights, directions: Weights, step: float) -> list[Tensor]:
    """The weights, the trained ones moved so far in these directions; leaves."""
    ways = iter(directions)
    return [
        (w.detach() + step * next(ways)).requires_grad_() if w.requires_grad else w for w in weights
    ]


@both_modes
@every_attention
def test_a_step_through_a_step_equals_finite_differences(
    case: Case, attention: str, training: bool
) -> None:
    model = made(case, attention)
    directions = [torch.randn_like(w) for w in model.trained]

    outer = gradients(after_a_step(model, model.weights, training), model.trained)
    found = sum((g * d).sum() for g, d in zip(outer, directions, strict=True))

    def at(step: float) -> Tensor:
        return after_a_step(model, moved(model.weights, directions, step), training).detach()

    assert isinstance(found, Tensor)
    assert is_slope(found, at, model.rounds)


def losses_of_torch(model: Made, weights: Weights) -> Tensor:
    """The loss by torch's own call, with the one form of attention that it can derive twice."""
    names = [name for name, _ in model.net.named_parameters()]
    torch.manual_seed(1)
    with sdpa_kernel(SDPBackend.MATH):
        values = dict(zip(names, weights, strict=True))
        return loss_of(functional_call(model.net, values, (), model.inputs))


@every
def test_a_step_through_a_step_equals_that_of_functional_call(case: Case) -> None:
    model = made(case)

    ours = gradients(after_a_step(model, model.weights, False), model.trained)
    loss = losses_of_torch(model, model.weights)
    steps = torch.autograd.grad(loss, model.trained, create_graph=True, materialize_grads=True)
    after = losses_of_torch(model, stepped(model.weights, steps))

    wanted = gradients(after, model.trained)
    scale = max(float(gradient.abs().max()) for gradient in wanted)
    tolerance = (1e-5 if model.rounds else 1e-9) * scale
    for found, theirs in zip(ours, wanted, strict=True):
        torch.testing.assert_close(found, theirs, rtol=0, atol=tolerance)

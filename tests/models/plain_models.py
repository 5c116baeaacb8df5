"""What a model returns under some weights, and the gradients: against the plain model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from fields import fields
from torch import Tensor, nn

from metann import Learner

Weights = Sequence[Tensor]
ALWAYS = ("", "sdpa", "eager")
IN_EAGER = ("eager",)


@dataclass(frozen=True)
class Case:
    """A small model and what it is called with.

    Attributes:
        make: makes the model, with random weights and without dropout.
        inputs: makes the arguments, by name.
        rounds: the ways to compute attention in which it computes some of its parts in float32,
            whatever its weights are.
        returns: what it returns besides its results, if asked.
        attentions: the ways to compute attention that it knows.
    """

    make: Callable[[], Any]
    inputs: Callable[[], dict[str, Any]]
    rounds: tuple[str, ...] = ()
    returns: tuple[str, ...] = ("hidden_states", "attentions")
    attentions: tuple[str, ...] = ("sdpa", "eager")


@dataclass(frozen=True)
class Made:
    """A model, its arguments, and other weights for it: leaves."""

    net: Any
    inputs: dict[str, Any]
    weights: list[Tensor]
    rounds: bool

    @property
    def trained(self) -> list[Tensor]:
        """The weights that require grad, as their parameters do."""
        return [w for w in self.weights if w.requires_grad]

    def loss(self, weights: Weights, training: bool) -> Tensor:
        """A number that depends on every output; random numbers are the same in each call."""
        torch.manual_seed(1)
        return loss_of(Learner(self.net).functional(weights, training, **self.inputs))


def made(case: Case, attention: str = "", asked: bool = False) -> Made:
    """The model in double precision, and weights near its own.

    Args:
        case: which model.
        attention: how it is to compute attention; "" for its own choice.
        asked: it is asked to return all that it can.
    """
    net = case.make().double().eval()
    if attention:
        net.set_attn_implementation(attention)
    inputs = case.inputs()
    if asked:
        inputs |= {f"output_{name}": True for name in case.returns}
    weights = [
        (p.detach() + 0.05 * torch.randn_like(p)).requires_grad_(p.requires_grad)
        for p in net.parameters()
    ]
    return Made(net, inputs, weights, (attention or case.attentions[0]) in case.rounds)


def plain(net: Any, weights: Weights, training: bool) -> Any:
    """A copy with these values in its parameters."""
    copied = deepcopy(net).train(training)
    for parameter, value in zip(copied.parameters(), weights, strict=True):
        parameter.data.copy_(value.detach())
    return copied


def results(weights: Weights) -> list[Tensor]:
    """The same values, as results of a computation."""
    return [1.0 * w for w in weights]


def loss_of(output: Any) -> Tensor:
    """The mean squares of all fields, added."""
    squares = [t.square().mean() for _, t in fields(output) if t.requires_grad]
    return torch.stack(squares).sum()


def assert_same(found: Any, wanted: Any) -> None:
    """The same fields with the same numbers."""
    ours, theirs = dict(fields(found)), dict(fields(wanted))
    assert list(ours) == list(theirs)
    assert any(bool(value.count_nonzero()) for value in theirs.values())
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-10, msg=name)


def gradients(loss: Tensor, weights: Weights) -> list[Tensor]:
    found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    return list(found)


def assert_same_gradients(found: Weights, wanted: Weights, net: nn.Module) -> None:
    names = [name for name, p in net.named_parameters() if p.requires_grad]
    assert any(bool(g.count_nonzero()) for g in wanted)
    for name, ours, theirs in zip(names, found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10, msg=name)


def slope(function: Callable[[float], Tensor], step: float) -> Tensor:
    """The derivative of `function` at 0, by differences of fourth order."""
    near = function(step) - function(-step)
    far = function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)


def is_slope(found: Tensor, function: Callable[[float], Tensor], rounds: bool) -> bool:
    """Whether `found` is the derivative of `function` at 0.

    Some step must show it: where a model rounds to float32 inside, small ones show nothing but
    rounding, and large ones step over the kinks of a ReLU.
    """
    large, small = (3e-3, 1e-2, 1e-3), (1e-4, 1e-5, 1e-6, 1e-7)
    steps, tolerance = ((*large, *small), 1e-3) if rounds else (small, 1e-6)
    scale = found.abs().max()
    errors = (float((slope(function, step) - found).abs().max() / scale) for step in steps)
    return bool(scale > 0) and any(error < tolerance for error in errors)

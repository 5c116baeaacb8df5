"""Runs a module in every way there is, and compares it with the plain module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from metann import DependentModule, Learner

Make = Callable[[], nn.Module]
Way = Callable[[Make, list[Tensor], bool], Callable[..., Any]]


def made(make: Make) -> nn.Module:
    """The same module each time. A copy would not do: not every module can be copied."""
    torch.manual_seed(5)
    return make()


def named_parameters(net: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """As torch lists them, whatever the class of `net` says."""
    return [*nn.Module.named_parameters(net)]


def moved(net: nn.Module) -> list[Tensor]:
    """For each parameter a leaf some way from it; frozen ones stay frozen."""
    return [_moved(parameter) for _, parameter in named_parameters(net)]


def _moved(parameter: nn.Parameter) -> Tensor:
    value = parameter.detach().clone()
    if value.is_floating_point() or value.is_complex():
        value = value + 0.3 * torch.randn_like(value)
    return value.requires_grad_(parameter.requires_grad)


# ── the ways ─────────────────────────────────────────────────────────────────────────────────


def plain(make: Make, weights: list[Tensor], training: bool) -> nn.Module:
    """The module itself, the weights written into its parameters."""
    copied = made(make).train(training)
    with torch.no_grad():
        for (_, parameter), weight in zip(named_parameters(copied), weights, strict=True):
            parameter.copy_(weight)
    return copied


def converted(make: Make, weights: list[Tensor], training: bool) -> nn.Module:
    return DependentModule(plain(make, weights, training))


def cleared(make: Make, weights: list[Tensor], training: bool) -> nn.Module:
    copied = DependentModule(made(make).train(training)).clear_params()
    copied.substitute_from_list(weights)
    return copied


def kept(make: Make, weights: list[Tensor], training: bool) -> nn.Module:
    """Cleared with values, then substituted by name."""
    copied = DependentModule(made(make).train(training)).clear_params(init=True)
    names = [name for name, _ in copied.named_dependents()]
    copied.substitute(dict(zip(names, weights, strict=True)))
    return copied


def stateless(make: Make, weights: list[Tensor], training: bool) -> nn.Module:
    copied = DependentModule.stateless(made(make))
    copied.substitute_from_list(weights)
    return copied.train(training)


def bound(make: Make, weights: list[Tensor], training: bool) -> nn.Module:
    return Learner(made(make)).bind(weights, training=training)


def functional(make: Make, weights: list[Tensor], training: bool) -> Callable[..., Any]:
    learner = Learner(made(make))
    return lambda *args, **kwargs: learner.functional(weights, training, *args, **kwargs)


def functional_when_converted(
    make: Make, weights: list[Tensor], training: bool
) -> Callable[..., Any]:
    return functional(lambda: DependentModule(make()), weights, training)


# What a converted module is differentiated by are its own parameters.
WITH_PARAMETERS: tuple[Way, ...] = (plain, converted)
WAYS: tuple[Way, ...] = (
    converted,
    cleared,
    kept,
    stateless,
    bound,
    functional,
    functional_when_converted,
)


# ── what comes out ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Outcome:
    """The output of a call, and the gradients of both orders of a number made of it."""

    output: Any
    first: list[Tensor] = field(default_factory=list)
    second: list[Tensor] = field(default_factory=list)


def outcome(way: Way, make: Make, weights: Sequence[Tensor], training: bool, *x: Tensor) -> Outcome:
    """Run it from a fixed seed, on leaves of its own."""
    leaves, given = own(weights), own(x)
    model = way(make, leaves, training)
    torch.manual_seed(7)
    output = model(*given)
    if way in WITH_PARAMETERS:
        leaves = [parameter for _, parameter in named_parameters(model)]
    chosen = [leaf for leaf in (*leaves, *given) if leaf.requires_grad]
    value = number(output)
    if not value.requires_grad:
        return Outcome(output)
    first = slopes(value, chosen, create_graph=True)
    norm = torch.stack([number(slope) for slope in first]).sum()
    second = slopes(norm, chosen) if norm.requires_grad else []
    return Outcome(output, first, second)


def own(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Leaves with the same values."""
    return [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in tensors]


def slopes(value: Tensor, leaves: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    return [
        slope.to_dense()
        for slope in torch.autograd.grad(
            value, leaves, create_graph=create_graph, allow_unused=True, materialize_grads=True
        )
    ]


def number(value: Any) -> Tensor:
    """A number whose derivatives of all orders depend on every tensor in `value`."""
    parts = [_real(tensor) for tensor in tensors_in(value)]
    return torch.stack([(part.sin() + part.square() / 3).sum() for part in parts]).sum()


def _real(tensor: Tensor) -> Tensor:
    if tensor.is_quantized:
        return tensor.dequantize().double()
    dense = tensor.to_dense()
    return (torch.view_as_real(dense) if dense.is_complex() else dense).double()


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in a structure of tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    is_structure = isinstance(value, (tuple, list, dict))
    return [tensor for item in items for tensor in tensors_in(item)] if is_structure else []


def assert_the_same_in_every_way(make: Make, *x: Tensor, second: bool = True) -> None:
    """Output, gradients and second-order gradients are the plain module's, in both modes.

    Args:
        make: makes the module.
        x: what it is called with.
        second: there must be second-order gradients that are not all zero.
    """
    Learner(nn.Linear(1, 1))  # torch's own second derivatives are right from here on.
    for training in (True, False):
        weights = moved(made(make))
        wanted = outcome(plain, make, weights, training, *x)
        assert number(wanted.output).isfinite()
        assert not second or any(slope.count_nonzero() for slope in wanted.second)
        for way in WAYS:
            found = outcome(way, make, weights, training, *x)
            for name in ("output", "first", "second"):
                pairs = [tensors_in(getattr(each, name)) for each in (found, wanted)]
                where = f"{name}, {way.__name__}, training={training}"
                for one, other in zip(*pairs, strict=True):
                    torch.testing.assert_close(one, other, msg=lambda text, w=where: f"{w}: {text}")

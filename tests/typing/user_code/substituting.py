"""Dependents: read, registered, and set by name or in order."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from typing_extensions import assert_type

from metann import DependentModule
from metann.generated import DependentConv2d, DependentLinear


def of_a_known_layer(linear: DependentLinear, x: Tensor) -> None:
    linear.substitute({"weight": x, "bias": x})
    linear.substitute({"weight": x}, strict=False)
    linear.substitute([("weight", x), ("bias", x)])
    linear.substitute(dict(linear.named_parameters()).items())
    linear.substitute_from_list([x, x])
    DependentConv2d(1, 2, 3).substitute({"weight": x})


def of_any_module(net: DependentModule, named: dict[str, Tensor]) -> None:
    net.substitute(named)
    net.substitute({"first.weight": named["weight"]})
    net.substitute(named.items(), strict=False)
    net.substitute_from_list(named.values())
    net.update_shapes()


def that_are_read(net: DependentModule, x: Tensor) -> None:
    assert_type(net.dependents(), Iterator[Tensor | None])
    assert_type(net.named_dependents("net"), Iterator[tuple[str, Tensor | None]])
    net.register_dependent("scale", x)
    net.register_dependent("shift", None)


def that_parameters_become(net: nn.Module) -> None:
    assert_type(DependentModule.stateless(net, clear_filter=of_batch_norm), DependentModule)
    assert_type(DependentModule(net).clear_params(init=True), DependentModule)


def of_batch_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm1d)

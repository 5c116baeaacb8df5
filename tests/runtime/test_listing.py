"""`dependents` and `named_dependents`: order, names, prefix, ties."""

from __future__ import annotations

import torch
from small_nets import Scaled, Shared, Tied, mlp, normalised
from torch import nn

from metann import DependentModule


def names_of(module: DependentModule, **options: object) -> list[str]:
    return [name for name, _ in module.named_dependents(**options)]


def test_dependents_are_iterators() -> None:
    net = DependentModule(mlp()).clear_params(init=True)

    assert next(net.dependents()) is net[0].weight
    assert next(net.named_dependents()) == ("0.weight", net[0].weight)


def test_the_order_is_that_of_named_parameters() -> None:
    for make in (mlp, normalised, Scaled, Tied, Shared, lambda: nn.TransformerDecoderLayer(4, 2)):
        net = DependentModule(make())
        wanted = [name for name, _ in net.named_parameters()]

        net.clear_params(init=True)

        assert names_of(net) == wanted


def test_dependents_come_in_the_order_of_their_names() -> None:
    net = DependentModule(normalised()).clear_params(init=True)

    assert list(net.dependents()) == [tensor for _, tensor in net.named_dependents()]


def test_the_prefix_is_put_before_each_name_with_a_dot() -> None:
    net = DependentModule(mlp()).clear_params()

    assert names_of(net, prefix="net") == [
        "net.0.weight",
        "net.0.bias",
        "net.2.weight",
        "net.2.bias",
    ]


def test_without_recurse_only_the_modules_own_are_listed() -> None:
    net = DependentModule(Scaled()).clear_params()

    assert names_of(net, recurse=False) == ["scale"]
    assert list(net.dependents(recurse=False)) == [None]


def test_the_arguments_may_be_given_by_position() -> None:
    net = DependentModule(Scaled()).clear_params()

    assert [name for name, _ in net.named_dependents("p", False)] == ["p.scale"]


def test_a_tied_dependent_is_listed_once_even_when_its_places_hold_different_tensors() -> None:
    net = DependentModule(Tied()).clear_params(init=True)

    net.decoder.weight = torch.randn(3, 3)

    assert names_of(net) == ["encoder.weight", "decoder.bias"]


def test_two_dependents_that_were_given_one_tensor_are_both_listed() -> None:
    net, tensor = DependentModule(nn.Linear(3, 3, bias=False)).clear_params(), torch.randn(3, 3)
    net.register_dependent("other", tensor)

    net.weight = tensor

    assert names_of(net) == ["weight", "other"]


def test_tied_cleared_dependents_without_value_are_listed_once() -> None:
    assert names_of(DependentModule(Tied()).clear_params()) == ["encoder.weight", "decoder.bias"]


def test_bias_false_is_never_listed() -> None:
    net = DependentModule(nn.Sequential(nn.Linear(3, 2, bias=False), nn.LSTM(2, 2, bias=False)))

    net.clear_params()

    assert names_of(net) == ["0.weight", "1.weight_ih_l0", "1.weight_hh_l0"]


def test_affine_false_is_never_listed() -> None:
    assert names_of(DependentModule(nn.BatchNorm1d(3, affine=False)).clear_params()) == []


def test_a_submodule_that_is_none_is_passed_over() -> None:
    net = nn.Module()
    net.absent, net.present = None, nn.Linear(3, 2)
    net.register_module("gone", None)

    assert names_of(DependentModule(net).clear_params()) == ["present.weight", "present.bias"]


def test_dependents_of_submodules_can_be_asked_of_them() -> None:
    net = DependentModule(mlp()).clear_params()

    assert names_of(net[0]) == ["weight", "bias"]


def test_listing_runs_no_code_of_the_user() -> None:
    class Strange(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def children(self):
            raise RuntimeError("children of Strange")

        def named_modules(self, *args, **kwargs):
            raise RuntimeError("named_modules of Strange")

        def named_children(self):
            raise RuntimeError("named_children of Strange")

    net = DependentModule(Strange()).clear_params()

    assert names_of(net) == ["layer.weight", "layer.bias"]


def test_registered_dependents_are_listed_after_the_cleared_parameters_of_their_module() -> None:
    net = DependentModule(nn.Linear(3, 2))
    net.register_dependent("scale", torch.randn(2))

    net.clear_params()

    assert names_of(net) == ["weight", "bias", "scale"]

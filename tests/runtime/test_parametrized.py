"""Parametrized and pruned models: called, converted, made stateless, and back again."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from small_nets import computed, fresh, inputs, mlp, same
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune

from metann import DependentModule, Learner


def parametrized(net: nn.Module) -> nn.Module:
    parametrizations.weight_norm(net[0])
    parametrize.register_parametrization(net[2], "bias", nn.Softplus())
    return net


PREPARED: dict[str, Callable[[], nn.Module]] = {
    "parametrized": lambda: parametrized(mlp()),
    "spectral norm": lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 2))),
    "orthogonal": lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(3, 2))),
    "pruned": lambda: nn.Sequential(
        prune.random_unstructured(nn.Linear(3, 2), "weight", amount=0.5)
    ),
}
prepared = pytest.mark.parametrize("make", PREPARED.values(), ids=PREPARED)


@prepared
def test_a_parametrized_model_can_be_called_with_other_weights(make) -> None:
    net, x = make().eval(), inputs()
    weights = fresh(net)
    names = list(dict(net.named_parameters()))
    wanted = functional_call(net, dict(zip(names, weights, strict=True)), (x,))

    assert same(Learner(net).functional(weights, False, x), wanted)


@prepared
def test_a_parametrized_model_can_be_converted(make) -> None:
    net, x = make().eval(), inputs()
    wanted = net(x)

    assert same(DependentModule(net)(x), wanted)


@prepared
def test_a_parametrized_model_can_be_made_stateless(make) -> None:
    net, x = make().eval(), inputs()
    weights = fresh(net)
    wanted = Learner(net).functional(weights, False, x)

    copied = DependentModule.stateless(net)
    copied.substitute_from_list(weights)

    assert same(copied(x), wanted)


def test_weights_may_be_parametrized_after_conversion() -> None:
    net, x = DependentModule(nn.Linear(3, 2)), inputs()

    parametrize.register_parametrization(net, "weight", nn.Softplus())

    weight = nn.functional.softplus(net.parametrizations.weight.original)
    assert same(net(x), x @ weight.T + net.bias)


def test_a_parametrized_net_is_differentiated_through_its_parametrization_twice() -> None:
    net, x = parametrized(mlp()), inputs()
    leaves, weights = computed(net)

    out = Learner(net).functional(weights, True, x)
    first = torch.autograd.grad(out.square().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    assert all(g.abs().sum() > 0 for g in second)


def test_parametrizations_can_be_removed_after_conversion() -> None:
    net, x = parametrized(mlp()), inputs()
    wanted = net(x)
    DependentModule(net)

    parametrize.remove_parametrizations(net[0], "weight")

    assert type(net[0].weight) is nn.Parameter
    assert same(net(x), wanted)


def test_parametrizations_registered_after_conversion_can_be_removed() -> None:
    net, x = DependentModule(nn.Linear(3, 2)), inputs()
    parametrize.register_parametrization(net, "weight", nn.Softplus())
    wanted = net(x)

    parametrize.remove_parametrizations(net, "weight")

    assert same(net(x), wanted)
    assert isinstance(net, DependentModule)


def test_a_parametrization_can_be_added_to_one_of_two_layers_of_a_kind_only() -> None:
    net, x = DependentModule(mlp()), inputs()
    parametrize.register_parametrization(net[0], "weight", nn.Softplus())

    weight = nn.functional.softplus(net[0].parametrizations.weight.original)
    hidden = torch.tanh(x @ weight.T + net[0].bias)
    assert same(net(x), hidden @ net[2].weight.T + net[2].bias)


def test_a_parametrization_registered_before_a_learner_is_removed_again() -> None:
    net, x = parametrized(mlp()), inputs()
    learner = Learner(net)
    learner.functional(net.parameters(), True, x)

    parametrize.remove_parametrizations(net[0], "weight")

    assert same(learner.functional(net.parameters(), True, x), net(x))


class Marked(nn.Linear):
    """Says what a pickle of it holds, which a deep copy of a parametrized module does not ask."""

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "marked": True}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("layer", [nn.Linear, Marked])
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "alone"])
def test_a_parametrized_module_is_copied_with_its_dependents(before, layer, inside) -> None:
    parametrized = layer(3, 2)
    net = nn.Sequential(parametrized, nn.Identity()) if inside else parametrized
    if before:
        parametrizations.weight_norm(parametrized)
    DependentModule(net)
    if not before:
        parametrizations.weight_norm(parametrized)
    net.clear_params()
    leaves = [torch.randn(2, requires_grad=True), torch.rand(2, 1), torch.randn(2, 3)]
    net.substitute_from_list([leaf * 1.5 for leaf in leaves])
    x = inputs()

    copied = deepcopy(net)
    net.substitute_from_list([leaf * 0.0 + 1.0 for leaf in leaves])
    wanted = torch._weight_norm(leaves[2] * 1.5, leaves[1] * 1.5, 0) @ x.T

    assert same(copied(x), wanted.T + 1.5 * leaves[0])
    assert same(torch.autograd.grad(copied(x).sum(), leaves[0])[0], torch.full((2,), 1.5 * len(x)))

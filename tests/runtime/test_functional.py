"""`Learner.functional`: the output of a module under other weights."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from small_nets import (
    Counting,
    Scaled,
    Shared,
    Tied,
    by_name,
    computed,
    expected,
    fresh,
    inputs,
    mlp,
    normalised,
    same,
    state_of,
)
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.errors import SubstitutionError

MODELS = [mlp, normalised, Tied, Shared, Scaled, Counting]


def test_the_documented_sample_works() -> None:
    net, x = mlp(), inputs()

    learner = Learner(net)
    outputs = learner.functional(net.parameters(), True, x)

    assert same(outputs, net(x))


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("training", [True, False])
def test_the_output_is_that_of_torch_with_these_weights(make, training: bool) -> None:
    net, x = make(), inputs()
    weights = fresh(net)

    found = Learner(net).functional(weights, training, x)

    assert same(found, expected(net, weights, x, training=training))


@pytest.mark.parametrize("make", MODELS)
def test_the_module_is_not_touched(make) -> None:
    net = make()
    before = state_of(net)

    Learner(net).functional(fresh(net), True, inputs())

    assert state_of(net) == before


@pytest.mark.parametrize("make", MODELS)
def test_gradients_of_both_orders_are_those_of_torch(make) -> None:
    net, x = make(), inputs()
    leaves, weights = computed(net)
    gradients = []
    for out in (Learner(net).functional(weights, True, x), expected(net, weights, x)):
        first = torch.autograd.grad(out.square().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(
            sum(g.square().sum() for g in first), leaves, retain_graph=True
        )
        gradients.append((*first, *second))

    assert all(same(a, b) for a, b in zip(*gradients, strict=True))


def test_a_list_a_tuple_a_generator_and_a_mapping_mean_the_same() -> None:
    net, x = mlp(), inputs()
    weights, learner = fresh(net), Learner(net)
    wanted = expected(net, weights, x)
    named = by_name(net, weights)

    for params in (weights, tuple(weights), (w for w in weights), named, OrderedDict(named)):
        assert same(learner.functional(params, True, x), wanted)


def test_a_mapping_may_be_in_any_order() -> None:
    net, x = mlp(), inputs()
    weights = fresh(net)
    named = dict(reversed(by_name(net, weights).items()))

    assert same(Learner(net).functional(named, True, x), expected(net, weights, x))


def test_any_mapping_is_accepted() -> None:
    from types import MappingProxyType

    net, x = mlp(), inputs()
    weights = fresh(net)
    named = MappingProxyType(by_name(net, weights))

    assert same(Learner(net).functional(named, True, x), expected(net, weights, x))


def test_the_result_of_named_parameters_made_a_dict_is_accepted() -> None:
    net, x = Tied(), inputs()

    assert same(Learner(net).functional(dict(net.named_parameters()), True, x), net(x))


def test_a_mapping_with_both_names_of_a_tie_is_accepted() -> None:
    net, x = Tied(), inputs()
    named = dict(net.named_parameters(remove_duplicate=False))

    assert same(Learner(net).functional(named, True, x), net(x))


def test_two_tensors_for_a_tie_are_an_error() -> None:
    net = Tied()
    named = {n: torch.randn_like(p) for n, p in net.named_parameters(remove_duplicate=False)}

    with pytest.raises(SubstitutionError, match=r"decoder\.weight is tied to encoder\.weight"):
        Learner(net).functional(named, True, inputs())


@pytest.mark.parametrize("training", [True, False])
def test_training_is_the_mode_of_every_submodule(training: bool) -> None:
    seen = []

    class Watching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(self.training)
            return x

    net = nn.Sequential(Watching(), nn.Sequential(Watching()), nn.Linear(3, 2))
    net[0].train(not training)

    Learner(net).functional(fresh(net), training, inputs())

    assert seen == [training, training]


def test_without_a_mode_every_submodule_keeps_its_own() -> None:
    net = nn.Sequential(nn.Dropout(0.9), nn.Sequential(nn.Dropout(0.9), nn.Linear(64, 1)))
    net[1].eval()
    learner, x = Learner(net), torch.rand(3, 64) + 0.1

    assert net.training
    assert not torch.equal(
        learner.functional(net.parameters(), None, x),
        learner.functional(net.parameters(), False, x),
    )
    net[0].eval()
    assert torch.equal(learner.functional(net.parameters(), None, x), net(x))


def test_positional_and_keyword_arguments_reach_the_forward() -> None:
    class Taking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor, *others: int, factor: float, **rest: int) -> object:
            return self.layer(x) * factor, others, rest

    net, x = Taking(), inputs()
    out, others, rest = Learner(net).functional(net.parameters(), True, x, 1, 2, factor=3.0, a=4)

    assert same(out, net.layer(x) * 3)
    assert (others, rest) == ((1, 2), {"a": 4})


def test_everything_may_be_given_by_keyword() -> None:
    net, x = nn.Linear(3, 2), inputs()

    out = Learner(module=net).functional(params=net.parameters(), training=True, input=x)

    assert same(out, net(x))


def test_a_module_without_parameters_takes_an_empty_list() -> None:
    assert same(Learner(nn.Tanh()).functional([], True, x := inputs()), torch.tanh(x))


def test_any_output_is_returned_as_it_is() -> None:
    net, x = nn.LSTM(3, 4), inputs(5, 2, 3)

    out, (h, c) = Learner(net).functional(net.parameters(), True, x)

    assert same(out, net(x)[0])
    assert same(h, net(x)[1][0])
    assert same(c, net(x)[1][1])


def test_frozen_parameters_are_in_the_order_too() -> None:
    net, x = mlp(), inputs()
    net[0].requires_grad_(False)
    weights = fresh(net)

    assert same(Learner(net).functional(weights, True, x), expected(net, weights, x))


def test_the_same_tensor_may_be_given_for_two_weights() -> None:
    net, x = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), inputs()
    weight, bias = torch.randn(3, 3), torch.randn(3)
    weights = [weight, bias, weight, bias]

    assert same(Learner(net).functional(weights, True, x), expected(net, weights, x))


def test_the_weights_given_are_used_not_copied() -> None:
    seen = []

    class Watching(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(self.weight)
            return super().forward(x)

    net = Watching(3, 2)
    weights = fresh(net)

    Learner(net).functional(weights, True, inputs())

    assert seen[0] is weights[0]


def test_a_learner_of_a_dependent_module_takes_its_dependents() -> None:
    net, x = DependentModule(mlp()).clear_params(init=True), inputs()
    weights = fresh(net)

    found = Learner(net).functional(weights, True, x)

    net.substitute_from_list(weights)
    assert same(found, net(x))


def test_a_learner_of_a_cleared_module_needs_no_values_there() -> None:
    plain, x = mlp(), inputs()
    weights = fresh(plain)
    net = DependentModule.stateless(plain)

    assert same(Learner(net).functional(weights, True, x), expected(plain, weights, x))
    assert list(net.dependents()) == [None] * 4


def test_a_learner_of_a_partly_cleared_module_takes_both_in_the_order_of_parameters() -> None:
    plain, x = Scaled(), inputs()
    weights = fresh(plain)
    wanted = expected(plain, weights, x)
    net = DependentModule(plain)
    net.clear_params(init=True, clear_filter=lambda m: m is net.layer)

    assert same(Learner(net).functional(weights, True, x), wanted)
    assert same(Learner(net).functional(by_name(net, weights), True, x), wanted)


def test_the_learner_prints_its_module() -> None:
    assert repr(Learner(nn.Tanh())) == "Learner(Tanh())"


def test_the_learner_can_be_copied_and_pickled() -> None:
    import pickle
    from copy import deepcopy

    net, x = mlp(), inputs()
    weights = fresh(net)
    wanted = expected(net, weights, x)

    for learner in (deepcopy(Learner(net)), pickle.loads(pickle.dumps(Learner(net)))):
        assert learner.module is not net
        assert same(learner.functional(weights, True, x), wanted)


def test_the_module_of_a_learner_is_the_one_it_was_given() -> None:
    net = mlp()

    assert Learner(net).module is net
    assert type(net) is nn.Sequential


def test_a_maml_step_by_hand_has_the_gradient_that_finite_differences_have() -> None:
    net, x, y = mlp(), inputs(), inputs(5, 2)
    learner, weights = Learner(net), [p.detach() for p in net.parameters()]
    direction = [torch.randn_like(w) for w in weights]

    def adapted_loss(distance: float) -> Tensor:
        start = [
            (w + distance * d).requires_grad_() for w, d in zip(weights, direction, strict=True)
        ]
        loss = (learner.functional(start, True, x) - y).square().mean()
        slopes = torch.autograd.grad(loss, start, create_graph=True)
        fast = [w - 0.1 * g for w, g in zip(start, slopes, strict=True)]
        outer = (learner.functional(fast, True, -x) - y).square().mean()
        gradient = torch.autograd.grad(outer, start)
        slope = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        return torch.stack([outer.detach(), slope])

    step = 1e-5
    difference = (adapted_loss(step)[0] - adapted_loss(-step)[0]) / (2 * step)
    assert torch.allclose(adapted_loss(0.0)[1], difference, rtol=1e-7)

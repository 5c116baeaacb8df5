"""Instances of one plan in one tree, and weights that are given the same tensor."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import torch
from small_nets import fresh, inputs, mlp, same
from torch import nn

from metann import DependentModule, Learner


def test_two_bound_instances_in_one_tree_are_not_tied() -> None:
    net, x = mlp(), inputs()
    learner = Learner(net)
    one, two = learner.bind(fresh(net)), learner.bind(fresh(net))
    wanted = one(x), two(x)
    both = DependentModule(nn.ModuleList([one, two]))

    both.substitute(dict(both.named_dependents()))

    assert len(dict(both.named_dependents())) == 8
    assert same(one(x), wanted[0])
    assert same(two(x), wanted[1])


def test_a_dependent_registered_on_a_bound_instance_has_to_be_substituted() -> None:
    net = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))
    bound = Learner(net).bind(fresh(net))
    bound.substitute_from_list(fresh(net))

    bound[0].register_dependent("scale", torch.ones(2))

    with pytest.raises(ValueError, match=r"expected 3 tensors.*got 2"):
        bound.substitute_from_list(fresh(net))


def test_two_weights_given_one_tensor_stay_two_parameters() -> None:
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    weight, x = torch.randn(3, 3), inputs()
    bound = Learner(net).bind([weight, weight])

    assert [name for name, _ in bound.named_parameters()] == ["0.weight", "1.weight"]
    assert same(Learner(bound).functional(bound.parameters(), True, x), bound(x))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_keep_no_weight_beside_the_dependents(kind: type[nn.Module]) -> None:
    net = kind(64, 64)
    cleared = DependentModule.stateless(net)
    bound = Learner(net).bind(fresh(net))

    assert "_flat_weights" not in cleared.__dict__
    assert "_flat_weights" not in bound.__dict__
    assert "_flat_weights" not in DependentModule(deepcopy(net)).__dict__
    assert len(pickle.dumps(cleared)) < 20_000


def test_a_cleared_module_loads_in_the_dtype_it_was_moved_to() -> None:
    net = mlp()
    cleared = DependentModule.stateless(net).float()

    cleared.load_state_dict(net.state_dict())

    assert {tensor.dtype for tensor in cleared.dependents()} == {torch.float32}


def test_assigned_dependents_are_leaves_and_stay_tied() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    cleared = DependentModule.stateless(net)

    cleared.load_state_dict({k: v.clone() for k, v in net.state_dict().items()}, assign=True)

    assert cleared[0].weight is cleared[1].weight
    assert all(t.requires_grad and t.is_leaf for t in cleared.dependents())
    assert same(cleared[0].weight, net[0].weight)


def test_a_copy_of_a_module_that_is_a_dict_too_keeps_its_items() -> None:
    class Both(nn.Module, dict):
        pass

    net = DependentModule(Both())
    net["a"] = [1]

    copied = deepcopy(net)

    assert dict(copied) == {"a": [1]}
    assert copied["a"] is not net["a"]


def test_a_learner_with_more_attributes_is_copied_with_them() -> None:
    class Named(Learner[nn.Module]):
        def __init__(self, module: nn.Module, name: str) -> None:
            super().__init__(module)
            self.name = name

    net, x = mlp(), inputs()
    copied = deepcopy(Named(net, "mine"))

    assert copied.name == "mine"
    assert copied.module is not net
    assert same(copied.functional(list(net.parameters()), True, x), net(x))


def test_modules_that_are_dicts_too_keep_their_own_items_side_by_side() -> None:
    class Both(nn.Module, dict):
        pass

    net = nn.ModuleList(Both() for _ in range(20))
    for number, item in enumerate(net):
        item["number"] = [number]

    bound = Learner(net).bind([])

    assert [dict(item) for item in bound] == [{"number": [number]} for number in range(20)]
    assert bound[0]["number"] is not net[0]["number"]


def test_cleared_tied_weights_stay_one_weight_when_the_module_is_moved() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    cleared = DependentModule.stateless(net).float()
    weights = [weight.float() for weight in fresh(net)]

    cleared.substitute_from_list(weights)

    assert len(weights) == 3
    assert cleared[1].weight is cleared[0].weight is weights[0]

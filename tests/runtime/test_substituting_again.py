"""`update_shapes`, and substitution into a tree that has changed since the last one."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from small_nets import Tied, fresh, inputs, mlp
from torch import nn

from metann import DependentModule
from metann.errors import SubstitutionError


def cleared(net: nn.Module) -> DependentModule:
    return DependentModule(net).clear_params(init=True)


def held(net: DependentModule) -> list[int]:
    return [id(tensor) for tensor in net.dependents()]


def test_update_shapes_makes_the_present_shape_the_expected_one() -> None:
    net = cleared(nn.Linear(3, 2))
    net.weight = torch.randn(4, 3)
    net.bias = torch.randn(4)

    net.update_shapes()
    net.substitute_from_list([torch.randn(4, 3), torch.randn(4)])

    assert net(inputs()).shape == (5, 4)


def test_without_update_shapes_the_old_shape_is_expected() -> None:
    net = cleared(nn.Linear(3, 2))
    net.weight = torch.randn(4, 3)

    with pytest.raises(SubstitutionError, match=r"weight must have shape \(2, 3\), got \(4, 3\)"):
        net.substitute_from_list([torch.randn(4, 3), torch.randn(2)])


def test_update_shapes_goes_through_the_whole_tree_and_keeps_ties() -> None:
    net = cleared(Tied())
    net.encoder.weight = net.decoder.weight = torch.randn(5, 3)

    net.update_shapes()
    net.substitute_from_list([torch.randn(5, 3), torch.randn(3)])

    assert net.encoder.weight is net.decoder.weight
    assert net.encoder.weight.shape == (5, 3)


def test_update_shapes_leaves_the_shape_of_what_has_no_value() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params()

    net.update_shapes()

    with pytest.raises(SubstitutionError, match=r"weight must have shape \(2, 3\)"):
        net.substitute_from_list([torch.randn(4, 3), torch.randn(2)])


def test_substituting_a_submodule_alone_is_possible() -> None:
    net = cleared(mlp())
    weights = fresh(net[2])

    net[2].substitute_from_list(weights)

    assert held(net)[2:] == [id(w) for w in weights]


def test_substitution_follows_a_submodule_that_was_replaced() -> None:
    net = cleared(mlp())
    net.substitute_from_list(fresh(net))

    net[2] = DependentModule(nn.Linear(4, 5)).clear_params()
    weights = [torch.randn(4, 3), torch.randn(4), torch.randn(5, 4), torch.randn(5)]
    net.substitute_from_list(weights)

    assert held(net) == [id(w) for w in weights]


def test_substitution_follows_a_dependent_registered_later() -> None:
    net = cleared(nn.Linear(3, 2))
    net.substitute_from_list(fresh(net))

    net.register_dependent("scale", torch.randn(2))
    weights = [torch.randn(2, 3), torch.randn(2), torch.randn(2)]
    net.substitute_from_list(weights)

    assert net.scale is weights[2]


def test_substitution_into_a_deep_copy_leaves_the_original_alone() -> None:
    net = cleared(mlp())
    net.substitute_from_list(fresh(net))
    before, copied = held(net), deepcopy(net)

    copied.substitute_from_list(fresh(net))

    assert held(net) == before

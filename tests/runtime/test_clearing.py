"""`clear_params`: parameters become dependents of the same names."""

from __future__ import annotations

import pytest
import torch
from small_nets import Scaled, Shared, Tied, fresh, inputs, mlp, normalised, same
from torch import nn

from metann import DependentModule
from metann.errors import UninitializedModuleError


def test_clear_params_returns_the_module_itself() -> None:
    net = DependentModule(mlp())

    assert net.clear_params() is net


def test_every_parameter_becomes_a_dependent_of_the_same_name_and_order() -> None:
    names = [name for name, _ in normalised().named_parameters()]

    net = DependentModule(normalised()).clear_params()

    assert [name for name, _ in net.named_dependents()] == names


def test_no_parameter_object_is_left() -> None:
    net = DependentModule(mlp()).clear_params()

    assert all(p is None for m in net.modules() for p in m._parameters.values())


def test_dependents_are_kept_in_buffers() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params(init=True)

    assert set(net._buffers) == {"weight", "bias"}


def test_without_init_each_dependent_is_none() -> None:
    net = DependentModule(mlp()).clear_params()

    assert list(net.dependents()) == [None] * 4
    assert net[0].weight is None


def test_with_init_each_dependent_keeps_its_value() -> None:
    plain = mlp()
    wanted = [p.detach().clone() for p in plain.parameters()]

    net = DependentModule(plain).clear_params(init=True)

    assert all(torch.equal(d, w) for d, w in zip(net.dependents(), wanted, strict=True))


def test_with_init_each_dependent_is_an_independent_leaf_that_requires_grad() -> None:
    plain = mlp()
    parameters = list(plain.parameters())

    dependents = list(DependentModule(plain).clear_params(init=True).dependents())

    assert all(d.is_leaf and d.requires_grad for d in dependents)
    assert not {d.data_ptr() for d in dependents} & {p.data_ptr() for p in parameters}
    assert not any(isinstance(d, nn.Parameter) for d in dependents)


def test_with_init_the_module_computes_what_it_did() -> None:
    net, x = DependentModule(normalised()).eval(), inputs()
    wanted = net(x)

    assert same(net.clear_params(init=True)(x), wanted)


def test_a_dependent_may_have_a_grad_fn() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params()
    leaf = torch.randn(2, 3, requires_grad=True)

    net.weight = leaf * 2

    assert net.weight.grad_fn is not None


def test_clear_filter_decides_for_each_module() -> None:
    net = DependentModule(mlp())

    net.clear_params(clear_filter=lambda m: m is net[2])

    assert [name for name, _ in net.named_dependents()] == ["2.weight", "2.bias"]
    assert isinstance(net[0].weight, nn.Parameter)


def test_clear_filter_sees_every_module_of_the_tree() -> None:
    net, seen = DependentModule(mlp()), []

    net.clear_params(clear_filter=lambda m: seen.append(m) is None)

    assert seen == list(net.modules())


def test_a_refusing_clear_filter_leaves_every_parameter_as_the_same_object() -> None:
    net = DependentModule(mlp())
    before = [id(p) for p in net.parameters()]

    net.clear_params(clear_filter=lambda _: False)

    assert [id(p) for p in net.parameters()] == before
    assert list(net.named_dependents()) == []


def test_clearing_in_two_parts_is_clearing() -> None:
    net = DependentModule(mlp())
    names = [name for name, _ in net.named_parameters()]

    net.clear_params(clear_filter=lambda m: m is net[2])
    net.clear_params(clear_filter=lambda m: m is net[0])

    assert [name for name, _ in net.named_dependents()] == names


def test_clearing_twice_with_init_keeps_the_values() -> None:
    net = DependentModule(mlp()).clear_params(init=True)
    before = list(net.dependents())

    net.clear_params(init=True)

    assert all(a is b for a, b in zip(net.dependents(), before, strict=True))


def test_a_tied_parameter_becomes_one_dependent_in_both_places() -> None:
    net = DependentModule(Tied()).clear_params(init=True)

    assert net.encoder.weight is net.decoder.weight
    assert [name for name, _ in net.named_dependents()] == ["encoder.weight", "decoder.bias"]


def test_a_shared_submodule_is_listed_under_its_first_name_only() -> None:
    net = DependentModule(Shared()).clear_params(init=True)

    assert [name for name, _ in net.named_dependents()] == ["first.weight", "first.bias"]


def test_a_parameter_that_is_none_stays_none_and_is_no_dependent() -> None:
    net = DependentModule(nn.Linear(3, 2, bias=False)).clear_params()

    assert net.bias is None
    assert [name for name, _ in net.named_dependents()] == ["weight"]


def test_a_users_own_parameters_are_cleared_too() -> None:
    net = DependentModule(Scaled()).clear_params()

    assert [n for n, _ in net.named_dependents()] == ["scale", "layer.weight", "layer.bias"]


def test_buffers_are_left_alone() -> None:
    net = DependentModule(normalised())
    before = [(name, id(b)) for name, b in net.named_buffers()]

    net.clear_params()

    assert [(name, id(b)) for name, b in net.named_buffers()] == before


def test_a_frozen_parameter_becomes_a_dependent_that_does_not_require_grad() -> None:
    net = DependentModule(nn.Linear(3, 2))
    net.weight.requires_grad_(False)

    net.clear_params(init=True)

    assert (net.weight.requires_grad, net.bias.requires_grad) == (False, True)


def test_substituted_tensors_are_differentiated_through() -> None:
    net, x = DependentModule(mlp()), inputs()
    leaves = fresh(net)
    net.clear_params()

    net.substitute_from_list([leaf * 2 for leaf in leaves])
    net(x).square().sum().backward()

    assert all(leaf.grad is not None and leaf.grad.abs().sum() > 0 for leaf in leaves)


def test_a_forward_before_substitution_does_not_compute_silently() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params()

    with pytest.raises(TypeError, match="must be Tensor, not NoneType"):
        net(inputs())


def test_a_lazy_module_that_has_not_seen_data_cannot_be_cleared_and_nothing_changes() -> None:
    net = DependentModule(nn.Sequential(nn.Linear(3, 4)))
    nn.Sequential.append(net, nn.Linear(4, 2))
    net._modules["2"] = nn.LazyLinear(2)

    with pytest.raises(UninitializedModuleError, match=r"2 .*lazy module that has not seen data"):
        net.clear_params()

    assert isinstance(net[0].weight, nn.Parameter)


def test_parameters_lists_the_dependents_after_clearing_and_buffers_does_not() -> None:
    net = DependentModule(normalised())
    names = [name for name, _ in net.named_parameters()]
    buffers = [name for name, _ in net.named_buffers()]

    net.clear_params(init=True)

    assert [name for name, _ in net.named_parameters()] == names
    assert [name for name, _ in net.named_buffers()] == buffers

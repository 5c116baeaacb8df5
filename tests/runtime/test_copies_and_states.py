"""Deep copies, pickles, `state_dict` and `load_state_dict` of dependent modules."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from io import BytesIO

import pytest
import torch
from small_nets import (
    Scaled,
    Shared,
    Tied,
    computed,
    expected,
    fresh,
    inputs,
    mlp,
    normalised,
    same,
)
from torch import nn
from torch.utils._pytree import tree_leaves

from metann import DependentModule, Learner

MODELS = [mlp, normalised, Scaled, Tied, Shared, lambda: nn.LSTM(3, 2, bidirectional=True)]
every = pytest.mark.parametrize("make", MODELS)


def out_of(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    out = net(x)
    return out[0] if isinstance(out, tuple) else out


def saved_and_loaded(net: nn.Module) -> nn.Module:
    file = BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@every
@pytest.mark.parametrize("clear", [False, True])
def test_T08_a_dependent_module_can_be_pickled_and_saved_whole(make, clear: bool) -> None:
    net, x = DependentModule(make()), inputs()
    if clear:
        net.clear_params(init=True)

    for made in (pickle.loads(pickle.dumps(net)), saved_and_loaded(net)):
        assert [type(m) for m in made.modules()] == [type(m) for m in net.modules()]
        assert [n for n, _ in made.named_dependents()] == [n for n, _ in net.named_dependents()]
        assert same(out_of(made, x), out_of(net, x))


def test_T08_ties_hold_in_a_pickle() -> None:
    net = DependentModule(Tied()).clear_params(init=True)
    net.substitute_from_list([torch.randn(3, 3), torch.randn(3)])

    made = pickle.loads(pickle.dumps(net))
    made.substitute_from_list(weights := fresh(made))

    assert made.encoder.weight is made.decoder.weight is weights[0]


def test_T08_a_cleared_module_without_values_can_be_pickled() -> None:
    made = pickle.loads(pickle.dumps(DependentModule(mlp()).clear_params()))

    assert list(made.dependents()) == [None] * 4
    with pytest.raises(ValueError, match=r"0\.weight must have shape \(4, 3\)"):
        made.substitute_from_list([torch.randn(1) for _ in range(4)])


@every
def test_T10_a_deep_copy_with_dependents_that_were_computed_is_connected_to_the_graph(make) -> None:
    plain, x = make(), inputs()
    leaves, weights = computed(plain)
    net = DependentModule(plain).clear_params()
    net.substitute_from_list(weights)

    copied = deepcopy(net)
    found = torch.autograd.grad(out_of(copied, x).square().sum(), leaves, retain_graph=True)

    wanted = torch.autograd.grad(out_of(net, x).square().sum(), leaves)
    assert all(torch.allclose(f, w, rtol=1e-12) for f, w in zip(found, wanted, strict=True))


def test_T10_a_deep_copy_holds_other_tensors() -> None:
    net = DependentModule(mlp()).clear_params()
    net.substitute_from_list(computed(mlp())[1])

    copied = deepcopy(net)

    mine = {d.data_ptr() for d in net.dependents()}
    assert not mine & {d.data_ptr() for d in copied.dependents()}


def test_T10_a_deep_copy_of_a_part_of_a_model_works() -> None:
    net = DependentModule(mlp()).clear_params()
    net.substitute_from_list(computed(mlp())[1])

    assert deepcopy({"a": [net[0], net]})["a"][1][0] is not net[0]


def test_T10_a_part_copied_together_with_the_whole_stays_a_part() -> None:
    net = DependentModule(mlp()).clear_params()
    net.substitute_from_list(computed(mlp())[1])

    part, whole = deepcopy((net[0], net))

    assert whole[0] is part


def test_T10_an_attribute_that_holds_a_dependent_means_the_copys_own() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params()
    net.substitute_from_list(computed(nn.Linear(3, 2))[1])
    net.kept = [net.weight]

    copied = deepcopy(net)

    assert copied.kept[0] is copied.weight


@pytest.mark.parametrize(
    "keep",
    [
        lambda tensor: tensor,
        lambda tensor: [tensor],
        lambda tensor: (1, tensor),
        lambda tensor: {"a": tensor},
        lambda tensor: [[{"a": (tensor,)}]],
    ],
    ids=["tensor", "list", "tuple", "dict", "nested"],
)
def test_T10_a_tensor_in_an_attribute_that_was_computed_can_be_copied(keep) -> None:
    net = DependentModule(nn.Linear(3, 2))
    net.kept = keep(net.weight * 2)

    copied = deepcopy(net)

    (wanted,), (found,) = (
        [leaf for leaf in tree_leaves(kept) if isinstance(leaf, torch.Tensor)]
        for kept in (net.kept, copied.kept)
    )
    assert torch.equal(found, wanted)


def test_ties_hold_in_a_deep_copy() -> None:
    net = DependentModule(Tied()).clear_params()
    net.substitute_from_list(computed(Tied())[1])

    copied = deepcopy(net)
    copied.substitute_from_list(weights := fresh(copied))

    assert copied.encoder.weight is copied.decoder.weight is weights[0]


def test_a_deep_copied_hook_that_is_a_method_belongs_to_the_copy() -> None:
    net = DependentModule(Shared())
    net.first.register_forward_hook(lambda *_: None)

    copied = deepcopy(net)
    copied.first.register_forward_hook(lambda *_: None)

    assert (len(net.first._forward_hooks), len(copied.first._forward_hooks)) == (1, 2)


def test_a_shallow_copy_shares_the_tensors() -> None:
    net, x = DependentModule(mlp()).clear_params(init=True), inputs()

    copied = copy(net)

    assert [id(d) for d in copied.dependents()] == [id(d) for d in net.dependents()]
    assert same(copied(x), net(x))


@every
@pytest.mark.parametrize("init", [False, True])
def test_T13_the_keys_of_state_dict_stay_in_name_and_order(make, init: bool) -> None:
    plain = make()
    wanted = list(plain.state_dict())

    net = DependentModule(plain)
    assert list(net.state_dict()) == wanted
    net.clear_params(init=True)

    assert list(net.state_dict()) == wanted


def test_T13_the_state_of_a_bound_instance_has_the_keys_of_the_module_in_its_order() -> None:
    for make in MODELS:
        net = make()

        assert list(Learner(net).bind(fresh(net)).state_dict()) == list(net.state_dict())


@every
def test_T13_the_state_of_a_dependent_module_loads_back_into_the_original_class(make) -> None:
    plain, x = make(), inputs()
    net = DependentModule(make()).clear_params()
    net.substitute_from_list([w.detach() for w in fresh(plain)])

    plain.load_state_dict(net.state_dict())

    assert same(out_of(plain.eval(), x), out_of(net.eval(), x))


@every
def test_T13_the_state_of_a_plain_module_loads_into_a_cleared_one(make) -> None:
    plain, x = make(), inputs()
    net = DependentModule(make()).clear_params()

    result = net.load_state_dict(plain.state_dict())

    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert same(out_of(net.eval(), x), out_of(plain.eval(), x))


@every
def test_T13_the_state_of_a_plain_module_loads_into_one_with_values(make) -> None:
    plain, x = make(), inputs()
    net = DependentModule(make()).clear_params(init=True)

    net.load_state_dict(plain.state_dict())

    assert same(out_of(net.eval(), x), out_of(plain.eval(), x))


def test_loading_does_not_write_into_tensors_of_the_caller() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params()
    weights = fresh(nn.Linear(3, 2))
    before = [w.detach().clone() for w in weights]
    net.substitute_from_list(weights)

    net.load_state_dict(nn.Linear(3, 2).state_dict())

    assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))


def test_loading_replaces_computed_dependents_by_leaves() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params()
    net.substitute_from_list(computed(nn.Linear(3, 2))[1])

    net.load_state_dict(nn.Linear(3, 2).state_dict())

    assert all(d.is_leaf and d.requires_grad for d in net.dependents())


def test_loaded_dependents_do_not_share_memory_with_the_state() -> None:
    state = nn.Linear(3, 2).state_dict()
    net = DependentModule(nn.Linear(3, 2)).clear_params()

    net.load_state_dict(state)

    assert not {d.data_ptr() for d in net.dependents()} & {t.data_ptr() for t in state.values()}


def test_loading_keeps_a_tie() -> None:
    net = DependentModule(Tied()).clear_params()

    net.load_state_dict(Tied().state_dict())

    assert net.encoder.weight is net.decoder.weight


def test_loading_lists_a_missing_key_of_a_cleared_module() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params(init=True)
    state = nn.Linear(3, 2).state_dict()
    del state["bias"]

    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "bias"'):
        net.load_state_dict(state)


def test_loading_lists_a_missing_key_of_a_cleared_module_without_values() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params()

    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: .*"weight"'):
        net.load_state_dict({"bias": torch.randn(2)})


def test_loading_a_wrong_shape_is_an_error_with_both_shapes() -> None:
    for init in (True, False):
        net = DependentModule(nn.Linear(3, 2)).clear_params(init=init)

        with pytest.raises(RuntimeError, match=r"size mismatch for weight.*\[5, 3\].*\[2, 3\]"):
            net.load_state_dict({"weight": torch.randn(5, 3), "bias": torch.randn(2)})


def test_loading_with_assign_works() -> None:
    plain, x = mlp(), inputs()
    net = DependentModule(mlp()).clear_params()

    net.load_state_dict(plain.state_dict(), assign=True)

    assert same(net(x), plain(x))
    assert len(list(net.named_dependents())) == 4


def test_loading_into_a_bound_instance_leaves_the_module_alone() -> None:
    net, x = normalised().eval(), inputs()
    wanted, other = net(x), normalised()
    bound = Learner(net).bind(fresh(net))

    bound.load_state_dict(other.state_dict())

    assert same(net(x), wanted)
    assert same(bound.eval()(x), other.eval()(x))


def test_the_state_of_a_stateless_copy_without_values_has_the_buffers() -> None:
    state = DependentModule.stateless(normalised()).state_dict()

    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} <= set(state)


def test_a_registered_dependent_is_in_the_state() -> None:
    net = DependentModule(nn.Linear(3, 2))
    net.register_dependent("scale", torch.randn(2))

    assert "scale" in net.state_dict()


def test_expected_is_not_trivial() -> None:
    net, x = mlp(), inputs()

    assert not torch.allclose(expected(net, fresh(net), x), net(x))

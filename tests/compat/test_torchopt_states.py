"""Extracting, recovering, cloning and cutting off states by metann.compat.torchopt."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchopt_snippets import data, small_net

import metann.compat.torchopt as torchopt
from metann.errors import ArgumentError, OptimizerError, SubstitutionError

MODES = ("reference", "copy", "deepcopy")


def normalised() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    net(data()[0])
    return net


def weights_and_buffers(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]


@pytest.mark.parametrize("by", MODES)
def test_a_state_is_extracted_by_reference_copy_or_deepcopy(by: Any) -> None:
    net = normalised()
    torchopt.MetaSGD(net, lr=0.1).step(net(data()[0]).square().mean())

    state = torchopt.extract_state_dict(net, by=by)

    found = [*state.params.values(), *state.buffers.values()]
    torch.testing.assert_close(found, weights_and_buffers(net), rtol=0, atol=0)
    same = [a is b for a, b in zip(found, weights_and_buffers(net), strict=True)]
    assert same == [by == "reference"] * 9
    has_history = [tensor.grad_fn is not None for tensor in state.params.values()]
    assert has_history == [by != "deepcopy"] * 6
    assert all(tensor.requires_grad for tensor in state.params.values())


def test_gradients_flow_through_clones_to_the_parameters() -> None:
    net, x = small_net(), data()[0]
    first = [*net.parameters()]
    expected = torch.autograd.grad(net(x).square().mean(), first)
    torchopt.recover_state_dict(net, torchopt.extract_state_dict(net, by="copy"))

    found = torch.autograd.grad(net(x).square().mean(), first)

    assert all(now is not before for now, before in zip(net.parameters(), first, strict=True))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("by", ["ref", "clone", "deepclone"])
def test_the_ways_to_copy_have_a_second_name(by: Any) -> None:
    net = small_net()
    longer: Any = {"ref": "reference", "clone": "copy", "deepclone": "deepcopy"}[by]

    short = torchopt.extract_state_dict(net, by=by).params
    long = torchopt.extract_state_dict(net, by=longer).params

    assert [*map(type, short.values())] == [*map(type, long.values())]
    assert [t.grad_fn is None for t in short.values()] == [t.grad_fn is None for t in long.values()]


@pytest.mark.parametrize("by", MODES)
def test_T40_a_state_keeps_weights_tied(by: Any) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    state = torchopt.extract_state_dict(net, by=by)
    torchopt.MetaSGD(net, lr=0.1).step(net(data()[0]).square().mean())

    torchopt.recover_state_dict(net, state)

    assert [*state.params] == ["0.weight", "0.bias", "1.bias"]
    assert net[1].weight is net[0].weight is state.params["0.weight"]


def test_parameters_come_back_as_parameters() -> None:
    net = small_net()
    optimizer = torchopt.MetaSGD(net, lr=0.1)
    state = torchopt.extract_state_dict(net, by="deepcopy")
    optimizer.step(net(data()[0]).square().mean())

    torchopt.recover_state_dict(net, state)

    assert all(isinstance(p, nn.Parameter) for p in net.parameters())
    assert all(a is b for a, b in zip(net.parameters(), state.params.values(), strict=True))


def test_a_reference_to_buffers_follows_what_the_module_does() -> None:
    net = normalised()
    state = torchopt.extract_state_dict(net)
    before = {name: value.clone() for name, value in net.named_buffers()}
    net(data()[0])
    moved = {name: value.clone() for name, value in net.named_buffers()}

    torchopt.recover_state_dict(net, state)

    assert (moved["1.running_mean"] - before["1.running_mean"]).abs().max() > 1e-3
    torch.testing.assert_close(dict(net.named_buffers()), moved, rtol=0, atol=0)


def test_detached_buffers_begin_anew_as_often_as_they_are_put_back() -> None:
    net = normalised()
    state = torchopt.extract_state_dict(net, detach_buffers=True)
    before = {name: value.clone() for name, value in net.named_buffers()}

    for _ in range(2):
        net(data()[0])
        assert (net.get_buffer("1.running_mean") - before["1.running_mean"]).abs().max() > 1e-3
        torchopt.recover_state_dict(net, state)
        torch.testing.assert_close(dict(net.named_buffers()), before, rtol=0, atol=0)


def test_buffers_are_left_out_where_asked() -> None:
    net = normalised()
    state = torchopt.extract_state_dict(net, with_buffers=False)
    net(data()[0])
    moved = [value.clone() for value in net.buffers()]

    torchopt.recover_state_dict(net, state)

    assert state.buffers == {}
    torch.testing.assert_close([*net.buffers()], moved, rtol=0, atol=0)


def test_another_net_takes_the_state() -> None:
    net, other, x = normalised(), normalised(), data()[0]
    torchopt.MetaSGD(net, lr=0.1).step(net(x).square().mean())

    torchopt.recover_state_dict(other, torchopt.extract_state_dict(net, by="copy"))

    torch.testing.assert_close(other.eval()(x), net.eval()(x), rtol=0, atol=0)


def test_the_device_is_changed_on_the_way() -> None:
    state = torchopt.extract_state_dict(normalised(), by="deepcopy", device="meta")

    assert {t.device.type for t in (*state.params.values(), *state.buffers.values())} == {"meta"}
    assert all(isinstance(p, nn.Parameter) for p in state.params.values())


def test_the_state_of_an_optimizer_is_extracted_in_each_way() -> None:
    net = small_net()
    optimizer = torchopt.MetaAdam(net)
    optimizer.step(net(data()[0]).square().mean())
    own: Any = optimizer.state_dict()
    moments = own[0][1].slots["exp_avg"]

    for by, is_same in (("reference", True), ("copy", False), ("deepcopy", False)):
        state: Any = torchopt.extract_state_dict(optimizer, by=by)  # type: ignore[call-overload]
        found = state[0][1].slots["exp_avg"]
        assert [a is b for a, b in zip(found, moments, strict=True)] == [is_same] * 4
        assert [m.grad_fn is None for m in found] == [by == "deepcopy"] * 4
        torch.testing.assert_close(found, moments, rtol=0, atol=0)


@pytest.mark.parametrize("what", ["module", "state", "optimizer", "tree"])
def test_history_is_cut_off_in_place(what: str) -> None:
    net = small_net()
    optimizer = torchopt.MetaAdam(net)
    optimizer.step(net(data()[0]).square().mean())
    own: Any = optimizer.state_dict()
    tensors = own[0][1].slots["exp_avg"] if what == "optimizer" else [*net.parameters()]
    target = {
        "module": net,
        "state": torchopt.extract_state_dict(net),
        "optimizer": optimizer,
        "tree": {"weights": tensors},
    }[what]
    before = [tensor.detach().clone() for tensor in tensors]
    assert all(tensor.grad_fn is not None for tensor in tensors)

    assert torchopt.module_detach_(target) is target

    assert all(tensor.grad_fn is None and tensor.requires_grad for tensor in tensors)
    torch.testing.assert_close([t.detach() for t in tensors], before, rtol=0, atol=0)


@pytest.mark.parametrize("by", MODES)
def test_a_module_is_cloned(by: Any) -> None:
    net, x = normalised(), data()[0]
    net[0].weight.requires_grad_(False)  # type: ignore[operator]

    clone = torchopt.module_clone(net, by=by)

    assert type(net) is nn.Sequential
    pairs = [*zip(clone.parameters(), net.parameters(), strict=True)]
    assert [a is b for a, b in pairs] == [by == "reference"] * 6
    assert [a.requires_grad for a, _ in pairs] == [b.requires_grad for _, b in pairs]
    torch.testing.assert_close(clone.eval()(x), net.eval()(x), rtol=0, atol=0)
    if by != "reference":
        net(x)
        clone.train()(x)
        assert clone[1].running_mean is not net[1].running_mean


def test_a_clone_by_copy_is_trained_to_second_order() -> None:
    net, x = small_net(), data()[0]
    twin = copy.deepcopy(net)
    fast = torchopt.module_clone(net, by="copy")
    torchopt.MetaSGD(fast, lr=0.1).step(fast(x).square().mean())
    fast(x).square().mean().backward()
    first = [*twin.parameters()]
    torchopt.MetaSGD(twin, lr=0.1).step(twin(x).square().mean())
    twin(x).square().mean().backward()

    torch.testing.assert_close([p.grad for p in net.parameters()], [p.grad for p in first])


def test_a_state_that_does_not_fit_is_an_error_and_nothing_is_changed() -> None:
    net, other = small_net(), nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1, bias=False))
    before = [*net.parameters()]
    pattern = (
        r"nothing was changed: missing: 2\.bias; 0\.weight must have shape \(4, 3\), got \(5, 3\)"
    )

    with pytest.raises(SubstitutionError, match=pattern):
        torchopt.recover_state_dict(net, torchopt.extract_state_dict(other))
    buffers = {"1.running_mean": torch.zeros(4)}
    state = torchopt.extract_state_dict(small_net())._replace(buffers=buffers)
    with pytest.raises(SubstitutionError, match=r"unknown: 1\.running_mean"):
        torchopt.recover_state_dict(net, state)

    assert all(a is b for a, b in zip(net.parameters(), before, strict=True))


@pytest.mark.parametrize(("outputs", "bias"), [(1, True), (4, False)])
def test_the_state_of_another_nets_optimizer_is_an_error_and_nothing_is_changed(
    outputs: int, bias: bool
) -> None:
    net, other, x = nn.Linear(3, 4), nn.Linear(3, outputs, bias), data()[0]
    optimizer, another = torchopt.MetaAdam(net), torchopt.MetaAdam(other)
    optimizer.step(net(x).square().mean())
    another.step(other(x).square().mean())
    before = optimizer.state_dict()[0]

    with pytest.raises(OptimizerError, match=r"one of other parameters: .*exp_avg of"):
        torchopt.recover_state_dict(optimizer, torchopt.extract_state_dict(another))

    assert optimizer.state_dict()[0] is before


@pytest.mark.parametrize("kind", ["MetaSGD", "MetaAdamW", "MetaRMSProp", "MetaAdaMax"])
def test_the_state_of_another_kind_of_optimizer_is_an_error_in_the_next_step(kind: str) -> None:
    net, x = small_net(), data()[0]
    adam, other = torchopt.MetaAdam(net), getattr(torchopt, kind)(net, lr=0.1)
    adam.step(net(x).square().mean())
    torchopt.recover_state_dict(other, torchopt.extract_state_dict(adam))
    before = [*net.parameters()]

    with pytest.raises(OptimizerError, match=r"slots, got one with exp_avg|a tuple of 4"):
        other.step(net(x).square().mean())

    assert all(a is b for a, b in zip(net.parameters(), before, strict=True))


def test_what_has_no_state_is_an_error() -> None:
    extract: Any = torchopt.extract_state_dict
    recover: Any = torchopt.recover_state_dict
    net = small_net()
    optimizer = torchopt.MetaSGD(net, lr=0.1)

    with pytest.raises(ArgumentError, match=r"by must be one of 'reference', .*, got 'shallow'"):
        extract(net, by="shallow")
    with pytest.raises(ArgumentError, match=r"expected a module or a MetaOptimizer, got list"):
        extract([torch.ones(1)])
    with pytest.raises(ArgumentError, match=r"MetaSGD does not take the state of a ModuleState"):
        recover(optimizer, extract(net))
    with pytest.raises(ArgumentError, match=r"does not take the state of a tuple"):
        recover(net, extract(optimizer))


@pytest.mark.parametrize("by", MODES)
def test_a_buffer_in_two_places_stays_one(by: Any) -> None:
    net = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    net[1].running_mean = net[0].running_mean

    torchopt.recover_state_dict(net, torchopt.extract_state_dict(net, by=by))

    assert net[1].running_mean is net[0].running_mean

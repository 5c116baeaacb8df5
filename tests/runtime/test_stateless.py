"""`DependentModule.stateless`: a converted copy with cleared parameters."""

from __future__ import annotations

import resource
from copy import deepcopy

import pytest
import torch
from small_nets import (
    Scaled,
    Shared,
    Tied,
    expected,
    fresh,
    inputs,
    mlp,
    normalised,
    same,
    state_of,
)
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from metann import DependentModule, Learner
from metann.errors import UninitializedModuleError
from metann.generated import DependentLinear, DependentSequential


def test_the_module_is_untouched() -> None:
    net = Scaled()
    before = state_of(net)

    DependentModule.stateless(net)

    assert state_of(net) == before


def test_the_copy_is_converted() -> None:
    copied = DependentModule.stateless(nn.Sequential(nn.Linear(3, 4)))

    assert [type(m) for m in copied.modules()] == [DependentSequential, DependentLinear]


def test_every_dependent_of_the_copy_is_none() -> None:
    copied = DependentModule.stateless(mlp())

    assert list(copied.dependents()) == [None] * 4


def test_the_names_are_those_of_the_parameters() -> None:
    net = Scaled()

    copied = DependentModule.stateless(net)

    assert [n for n, _ in copied.named_dependents()] == [n for n, _ in net.named_parameters()]


def test_the_copy_computes_with_substituted_tensors() -> None:
    net, x = normalised(), inputs()
    weights = fresh(net)

    copied = DependentModule.stateless(net)
    copied.substitute_from_list(weights)

    assert same(copied(x), expected(net, weights, x))


def test_a_call_of_the_copy_leaves_the_running_statistics_of_the_module_alone() -> None:
    net = normalised()
    before = state_of(net)
    copied = DependentModule.stateless(net)
    copied.substitute_from_list(fresh(net))

    copied(inputs())

    assert state_of(net) == before


def test_T04_a_refusing_clear_filter_leaves_all_parameters() -> None:
    net = mlp()

    copied = DependentModule.stateless(net, clear_filter=lambda _: False)

    assert list(copied.named_dependents()) == []
    assert [id(p) for p in copied.parameters()] == [id(p) for p in net.parameters()]
    assert all(type(p) is nn.Parameter for p in copied.parameters())


def test_T04_clear_filter_decides_for_each_module() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Conv1d(4, 2, 1))

    copied = DependentModule.stateless(net, clear_filter=lambda m: isinstance(m, nn.Conv1d))

    assert [name for name, _ in copied.named_dependents()] == ["1.weight", "1.bias"]
    assert copied[0].weight is net[0].weight


def test_T04_the_copy_with_a_filter_computes_what_the_module_does() -> None:
    net, x = mlp(), inputs()

    assert same(DependentModule.stateless(net, clear_filter=lambda _: False)(x), net(x))


def test_a_tied_parameter_with_one_place_cleared_keeps_the_other_as_parameter() -> None:
    net = Tied()

    copied = DependentModule.stateless(net, clear_filter=lambda m: m is net.encoder)

    assert [name for name, _ in copied.named_dependents()] == ["encoder.weight"]
    assert copied.decoder.weight is net.encoder.weight


def test_ties_hold_in_the_copy() -> None:
    net, x = Tied(), inputs()
    weights = fresh(net)
    copied = DependentModule.stateless(net)

    copied.substitute_from_list(weights)

    assert copied.encoder.weight is copied.decoder.weight is weights[0]
    assert same(copied(x), expected(net, weights, x))


def test_a_submodule_under_two_names_is_one_in_the_copy() -> None:
    copied = DependentModule.stateless(Shared())

    assert copied.first is copied.second


def test_two_copies_never_alias() -> None:
    net = normalised()
    one, two = DependentModule.stateless(net), DependentModule.stateless(net)

    one.substitute_from_list(fresh(net))
    one[1].running_mean.add_(1)

    assert list(two.dependents()) == [None] * 6
    assert torch.equal(two[1].running_mean, net[1].running_mean)


def test_the_mode_of_each_submodule_is_kept() -> None:
    net = mlp()
    net[0].eval()

    copied = DependentModule.stateless(net)

    assert [m.training for m in copied.modules()] == [m.training for m in net.modules()]


def test_it_can_be_called_on_a_dependent_module_and_leaves_that_alone() -> None:
    net = DependentModule(mlp()).clear_params(init=True)
    before = list(net.dependents())

    copied = DependentModule.stateless(net)
    copied.substitute_from_list(fresh(net))

    assert all(a is b for a, b in zip(net.dependents(), before, strict=True))


def test_a_lazy_module_that_has_not_seen_data_is_an_error() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(2))

    with pytest.raises(UninitializedModuleError, match=r"1 \(.*LazyLinear\).*Call the model once"):
        DependentModule.stateless(net)


@pytest.fixture(scope="module")
def large() -> nn.Sequential:
    """A model of 100 million parameters."""
    wide = [nn.Linear(5000, 5000, dtype=torch.float32, device="meta") for _ in range(4)]
    net = nn.Sequential(*wide).to_empty(device="cpu")
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.5)
    assert sum(p.numel() for p in net.parameters()) > 100_000_000
    return net


def peak_memory() -> int:
    """The most memory this process has ever used, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Allocations(TorchDispatchMode):
    """Notes the size of every tensor that an operation of torch makes."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [0]

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.sizes += [t.nbytes for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
        return result


def test_a_copied_parameter_would_be_noticed() -> None:
    with Allocations() as noticed:
        deepcopy(nn.Linear(500, 500))

    assert max(noticed.sizes) == 500 * 500 * 8


def test_no_parameter_storage_is_copied_from_a_model_of_100_million_parameters(large) -> None:
    before = peak_memory()

    with Allocations() as noticed:
        DependentModule.stateless(large)

    assert max(noticed.sizes) < 1_000_000
    assert peak_memory() - before < 50_000_000


def test_a_learner_and_its_calls_copy_no_parameter_storage(large) -> None:
    weights, x = list(large.parameters()), torch.randn(1, 5000, dtype=torch.float32)
    before = peak_memory()

    with Allocations() as noticed, torch.no_grad():
        learner = Learner(large)
        learner.bind(weights)(x)
        learner.functional(weights, False, x)

    assert max(size for size in noticed.sizes if size != 5000 * 5000 * 4) < 1_000_000
    assert peak_memory() - before < 50_000_000


def test_what_clear_filter_refuses_shares_its_storage(large) -> None:
    copied = DependentModule.stateless(large, clear_filter=lambda _: False)

    assert [p.data_ptr() for p in copied.parameters()] == [p.data_ptr() for p in large.parameters()]

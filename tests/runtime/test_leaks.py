"""Ways in which a forward, a hook or a learner could reach back to the original."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small_nets import computed, expected, fresh, inputs, mlp, same, state_of
from torch import Tensor, nn

from metann import DependentModule, Learner


@pytest.fixture
def no_gc() -> Iterator[None]:
    """What dies in the test dies by reference counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Doing(nn.Module):
    """Does `act` to itself in its forward."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("mean", torch.randn(2))
        self.register_buffer("cache", torch.randn(2), persistent=False)
        self.stats = [self.mean]
        self.named = {"mean": self.mean}
        object.__setattr__(self, "again", self.mean)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        self.act(self)
        return self.layer(x)


ACTS = {
    "adds to a buffer": lambda net: net.mean.add_(1),
    "adds to a buffer in a list": lambda net: net.stats[0].add_(1),
    "adds to a buffer in a dict": lambda net: net.named["mean"].add_(1),
    "adds to a buffer in an attribute": lambda net: net.again.add_(1),
    "replaces a buffer": lambda net: setattr(net, "mean", net.mean + 1),
    "deletes a buffer": lambda net: delattr(net, "mean"),
    "deletes a buffer that is not persistent": lambda net: delattr(net, "cache"),
    "puts a parameter in the place of a buffer": lambda net: setattr(
        net, "cache", nn.Parameter(torch.randn(2))
    ),
    "puts a module in the place of a buffer": lambda net: setattr(net, "cache", nn.Tanh()),
    "registers a buffer": lambda net: net.register_buffer("new", torch.randn(2), False),
    "registers a parameter": lambda net: net.register_parameter(
        "new", nn.Parameter(torch.randn(2))
    ),
    "adds a module": lambda net: net.add_module("new", nn.Linear(3, 3)),
    "replaces its layer": lambda net: setattr(net, "layer", nn.Linear(3, 2)),
    "sets an attribute": lambda net: setattr(net, "new", 3),
    "deletes an attribute": lambda net: delattr(net, "named"),
    "changes its mode": lambda net: net.train(not net.training),
    "adds a hook": lambda net: net.layer.register_forward_hook(lambda *_: None),
    "adds a pre-hook": lambda net: net.register_forward_pre_hook(lambda *_: None),
    "adds a backward hook": lambda net: net.register_full_backward_hook(lambda *_: None),
    "adds a state hook": lambda net: net.register_state_dict_post_hook(lambda *_: None),
    "adds a load hook": lambda net: net.register_load_state_dict_pre_hook(lambda *_: None),
    "clears its hooks": lambda net: net.layer._forward_hooks.clear(),
    "moves itself to another dtype": lambda net: net.float().double(),
    "converts itself": lambda net: DependentModule(net),
    "loads a state": lambda net: net.load_state_dict(Doing(None).state_dict()),
    "grows a list": lambda net: net.stats.append(1),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_whatever_a_forward_does_to_its_module_the_original_does_not_see(act) -> None:
    net = Doing(act)
    net.layer.register_forward_hook(lambda *_: None)
    before = state_of(net), sorted(net.state_dict()), len(net.stats)

    Learner(net).functional(fresh(net), True, inputs())

    assert (state_of(net), sorted(net.state_dict()), len(net.stats)) == before
    assert len(net._state_dict_hooks) + len(net._load_state_dict_pre_hooks) == 0
    assert len(net._backward_hooks) == 0


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_whatever_an_instance_does_to_itself_another_does_not_see(act) -> None:
    net = Doing(act)
    one, two = (Learner(net).bind(fresh(net)) for _ in range(2))
    before = state_of(two), sorted(two.state_dict()), len(two.stats)

    one(inputs())

    assert (state_of(two), sorted(two.state_dict()), len(two.stats)) == before


def test_a_buffer_in_a_list_is_the_instances_own_buffer() -> None:
    net = Doing(lambda net: None)

    bound = Learner(net).bind(fresh(net))

    assert bound.stats[0] is bound.mean
    assert bound.again is bound.mean


def test_a_load_hook_of_the_module_gets_the_instance_that_loads() -> None:
    net, seen = mlp(), []
    net[0].register_load_state_dict_pre_hook(lambda module, *_: seen.append(module))
    bound = Learner(net).bind(fresh(net))

    bound.load_state_dict(net.state_dict())

    assert seen[0] is bound[0]


def test_a_load_hook_of_a_module_converted_in_place_gets_that_module() -> None:
    net, seen = mlp(), []
    net[0].register_load_state_dict_pre_hook(lambda module, *_: seen.append(module))
    DependentModule(net)

    net.load_state_dict(mlp().state_dict())

    assert seen == [net[0]]


def test_T07_a_learner_of_a_dependent_module_keeps_no_tensor_that_was_substituted_before() -> None:
    net = DependentModule.stateless(mlp())
    leaves, weights = computed(mlp())
    net.substitute_from_list(weights)
    learner = Learner(net)
    references = [*map(weakref.ref, weights)]

    net.substitute_from_list(leaves)
    learner.functional(leaves, True, inputs())
    del weights

    assert [r() for r in references] == [None] * 4


def test_T22_fifty_second_order_steps_leave_no_tensor_behind(no_gc) -> None:
    def tensors() -> int:
        return sum(issubclass(type(value), Tensor) for value in gc.get_objects())

    net, x = mlp(), inputs()
    learner = Learner(net)

    def step() -> None:
        start = fresh(net)
        inner = learner.functional(start, True, x).square().sum()
        slopes = torch.autograd.grad(inner, start, create_graph=True)
        fast = [w - 0.1 * g for w, g in zip(start, slopes, strict=True)]
        torch.autograd.grad(learner.functional(fast, True, x).square().sum(), start)

    step()
    before = tensors()
    for _ in range(50):
        step()

    assert tensors() == before


def test_a_weight_in_a_list_of_a_dependent_module_is_followed_after_substitution() -> None:
    class Listing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.randn(3))
            self.kept: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            return x * self.kept[0]

    net, x = DependentModule(Listing()).clear_params(init=True), inputs()
    net.kept.append(net.gain)
    learner = Learner(net)
    net.substitute_from_list([torch.randn(3)])
    net.kept[0] = net.gain

    gain = torch.randn(3)
    assert same(learner.functional([gain], True, x), x * gain)


def test_zero_grad_of_an_instance_with_computed_weights_says_nothing() -> None:
    bound = Learner(mlp()).bind(computed(mlp())[1])

    bound.zero_grad()


def test_an_instance_with_leaves_can_be_trained_by_an_optimiser() -> None:
    net, x = mlp(), inputs()
    weights = fresh(net)
    bound = Learner(net).bind(weights)
    optimiser = torch.optim.SGD(bound.parameters(), lr=0.1)
    before = [w.detach().clone() for w in weights]

    bound(x).square().sum().backward()
    optimiser.step()

    assert all(not torch.equal(w, b) for w, b in zip(weights, before, strict=True))


def test_a_parameter_of_a_users_class_in_an_attribute_is_the_instances() -> None:
    class Special(nn.Parameter):
        pass

    net, x = nn.Module(), inputs()
    net.gain = Special(torch.randn(3))
    object.__setattr__(net, "again", net.gain)
    net.forward = lambda x: x

    bound = Learner(net).bind([torch.randn(3)])

    assert bound.again is bound.gain
    assert same(bound(x), x)


def test_hooks_for_all_modules_fire_in_a_call() -> None:
    net, seen = mlp(), []
    handle = nn.modules.module.register_module_forward_hook(lambda m, *_: seen.append(type(m)))
    try:
        Learner(net).functional(fresh(net), True, inputs())
    finally:
        handle.remove()

    assert [kind.__name__ for kind in seen] == [
        "DependentLinear",
        "DependentTanh",
        "DependentLinear",
        "DependentSequential",
    ]


def test_a_module_in_the_middle_of_a_deep_tree_is_reached() -> None:
    net: nn.Module = nn.Linear(3, 3)
    for _ in range(150):
        net = nn.Sequential(net)
    weights, x = fresh(net), inputs()

    assert same(Learner(net).functional(weights, True, x), expected(net, weights, x))

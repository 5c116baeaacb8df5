"""What users keep in plain attributes means the instance's own parts during a call."""

from __future__ import annotations

import functools
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from awkward_nets import Hiding
from small_nets import by_name, expected, fresh, inputs, same, state_of
from torch import Tensor, nn

from metann import DependentModule, Learner


class Pair(NamedTuple):
    """A user's named tuple."""

    one: Any
    two: Any


HIDING: dict[str, tuple[Callable[[Hiding], Any], Callable[[Any, Tensor], Tensor]]] = {
    "module in a list": (lambda net: [net.inner], lambda kept, x: kept[0](x)),
    "parameter in a list": (lambda net: [net.gain], lambda kept, x: kept[0] * x),
    "module in a tuple": (lambda net: (net.inner,), lambda kept, x: kept[0](x)),
    "module in a dict": (lambda net: {"a": net.inner}, lambda kept, x: kept["a"](x)),
    "module as a key": (lambda net: {net.inner: 2.0}, lambda kept, x: next(iter(kept))(x) * 2),
    "parameter in a dict": (lambda net: {"a": net.gain}, lambda kept, x: kept["a"] * x),
    "module in a set": (lambda net: {net.inner}, lambda kept, x: next(iter(kept))(x)),
    "module in a frozenset": (
        lambda net: frozenset({net.inner}),
        lambda kept, x: next(iter(kept))(x),
    ),
    "module in a deque": (lambda net: deque([net.inner], 5), lambda kept, x: kept[0](x)),
    "module in an OrderedDict": (
        lambda net: OrderedDict(a=net.inner),
        lambda kept, x: kept["a"](x),
    ),
    "module in a defaultdict": (
        lambda net: defaultdict(list, a=[net.inner]),
        lambda kept, x: kept["a"][0](x) + len(kept["b"]),
    ),
    "module in a named tuple": (lambda net: Pair(net.inner, 2.0), lambda kept, x: kept.one(x)),
    "deep inside": (
        lambda net: {"a": [(net.inner, {"b": net.gain})]},
        lambda kept, x: kept["a"][0][0](x) * kept["a"][0][1]["b"],
    ),
    "partial of a module": (
        lambda net: functools.partial(net.inner),
        lambda kept, x: kept(x),
    ),
    "partial with a parameter": (
        lambda net: functools.partial(torch.mul, net.gain),
        lambda kept, x: kept(x),
    ),
    "partial with a keyword": (
        lambda net: functools.partial(torch.mul, other=net.gain),
        lambda kept, x: kept(x),
    ),
    "method of the model": (lambda net: net.method, lambda kept, x: kept(x)),
    "method of a submodule": (lambda net: net.inner.forward, lambda kept, x: kept(x)),
    "partial of a method": (
        lambda net: functools.partial(net.method),
        lambda kept, x: kept(x),
    ),
    "weak reference to the model": (
        weakref.ref,
        lambda kept, x: kept().method(x),
    ),
    "weak reference to a submodule": (
        lambda net: weakref.ref(net.inner),
        lambda kept, x: kept()(x),
    ),
    "weak reference to a parameter": (
        lambda net: weakref.ref(net.gain),
        lambda kept, x: kept() * x,
    ),
    "weak method": (
        lambda net: weakref.WeakMethod(net.method),
        lambda kept, x: kept()(x),
    ),
    "the model itself": (lambda net: net, lambda kept, x: kept.method(x)),
    "a submodule a second time": (lambda net: net.inner, lambda kept, x: kept(x)),
    "a parameter a second time": (lambda net: net.gain, lambda kept, x: kept * x),
    "a buffer in a list": (lambda net: [net.shift], lambda kept, x: kept[0] + x),
    "a list that holds itself": (
        lambda net: (lambda items: items.append(items) or items)([net.inner]),
        lambda kept, x: kept[1][1][0](x),
    ),
    "list of all parameters": (
        lambda net: list(net.parameters()),
        lambda kept, x: x * sum(p.square().sum() for p in kept),
    ),
}
hiding = pytest.mark.parametrize(("keep", "use"), HIDING.values(), ids=HIDING)


@hiding
def test_the_weights_of_the_call_are_used(keep, use) -> None:
    net, x = Hiding(keep, use), inputs()
    weights = fresh(net)
    before = state_of(net)

    found = Learner(net).functional(weights, True, x)

    plain = Hiding(keep, use)
    plain.load_state_dict(net.state_dict())
    for parameter, value in zip(plain.parameters(), weights, strict=True):
        parameter.data.copy_(value.detach())
    assert same(found, plain(x))
    assert state_of(net) == before


@hiding
def test_gradients_reach_the_weights_of_the_call(keep, use) -> None:
    net, x = Hiding(keep, use), inputs()
    weights = fresh(net)

    out = Learner(net).functional(weights, True, x)
    found = torch.autograd.grad(out.square().sum(), weights, allow_unused=True)

    for parameter, value in zip(net.parameters(), weights, strict=True):
        parameter.data.copy_(value.detach())
    out = net(x)
    wanted = torch.autograd.grad(out.square().sum(), [*net.parameters()], allow_unused=True)
    assert [g is None for g in found] == [g is None for g in wanted]
    assert all(f is None or same(f, w) for f, w in zip(found, wanted, strict=True))


HOOKS: dict[str, Callable[[Hiding], object]] = {
    "a hook": lambda net: net.layer.register_forward_hook(net.hook),
    "a pre-hook": lambda net: net.layer.register_forward_pre_hook(net.pre_hook),
    "a hook on the root": lambda net: net.register_forward_hook(net.hook),
    "a partial as hook": lambda net: net.layer.register_forward_hook(
        functools.partial(Hiding.hook, net)
    ),
    "an always called hook": lambda net: net.layer.register_forward_hook(
        net.hook, always_call=True
    ),
}


@pytest.mark.parametrize("add", HOOKS.values(), ids=HOOKS)
def test_hooks_that_are_methods_of_the_model_use_the_weights_of_the_call(add) -> None:
    net, x = Hiding(lambda net: None, lambda kept, x: x), inputs()
    add(net)
    weights = fresh(net)

    assert same(Learner(net).functional(weights, True, x), expected(net, weights, x))


def test_a_backward_hook_fires_in_a_call() -> None:
    net, seen = nn.Sequential(nn.Linear(3, 2)), []
    net[0].register_full_backward_hook(lambda *_: seen.append("full"))

    Learner(net).functional(fresh(net), True, inputs().requires_grad_()).sum().backward()

    assert seen == ["full"]


def test_T20_hooks_of_every_kind_fire_in_a_call() -> None:
    net, seen = nn.Sequential(nn.Linear(3, 2)), []
    net[0].register_forward_hook(lambda *_: seen.append("forward"))
    net[0].register_forward_hook(lambda *_: seen.append("with kwargs"), with_kwargs=True)
    net[0].register_forward_pre_hook(lambda *_: seen.append("pre"))
    net[0].register_forward_pre_hook(lambda *_: seen.append("pre kwargs"), with_kwargs=True)

    Learner(net).functional(fresh(net), True, inputs())

    assert seen == ["pre", "pre kwargs", "forward", "with kwargs"]


def test_a_forward_hook_is_given_the_instance_not_the_original() -> None:
    net, seen = nn.Sequential(nn.Linear(3, 2)), []
    net[0].register_forward_hook(lambda module, *_: seen.append(module.weight))
    weights = fresh(net)

    Learner(net).functional(weights, True, inputs())

    assert seen[0] is weights[0]


def test_a_function_that_closes_over_the_model_is_reported(caplog) -> None:
    net = nn.Sequential(nn.Linear(3, 3))
    net[0].extra = lambda x: net(x)

    with caplog.at_level("WARNING", logger="metann"):
        Learner(net)

    assert "0.extra refers to the original model" in caplog.text


def test_a_hook_that_closes_over_the_model_is_reported(caplog) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[0].register_forward_hook(lambda module, args, out: out * net[1].bias)

    with caplog.at_level("WARNING", logger="metann"):
        Learner(net)

    assert "_forward_hooks" in caplog.text
    assert "original" in caplog.text


UNCARRIED: dict[str, Callable[[Hiding], Any]] = {
    "a namespace": lambda net: SimpleNamespace(inner=net.inner, forward=net.inner.forward),
    "a weak proxy": lambda net: weakref.proxy(net.inner),
    "a list with a closure": lambda net: [lambda x: net.inner(x)],
    "a partial of a closure": lambda net: functools.partial(lambda x: net.inner(x)),
}


@pytest.mark.parametrize("keep", UNCARRIED.values(), ids=UNCARRIED)
def test_what_cannot_be_carried_over_is_reported_not_silently_wrong(keep, caplog) -> None:
    def use(kept: Any, x: Tensor) -> Tensor:
        kept = kept[0] if isinstance(kept, list) else getattr(kept, "forward", kept)
        return kept(x)

    net, x = Hiding(keep, use), inputs()
    weights = fresh(net)

    with caplog.at_level("WARNING", logger="metann"):
        found = Learner(net).functional(weights, True, x)

    reported = "kept" in caplog.text and "original" in caplog.text
    plain = Hiding(lambda net: [net.inner], use)
    plain.load_state_dict({**net.state_dict(), **by_name(net, weights)})
    assert reported or same(found, plain(x))


def test_other_objects_are_shared_as_they_are() -> None:
    class Config:
        def __deepcopy__(self, memo: object) -> None:
            raise RuntimeError("cannot be copied")

    net = nn.Linear(3, 2)
    net.config, net.generator = Config(), (i for i in range(3))

    bound = Learner(net).bind(fresh(net))

    assert bound.config is net.config
    assert bound.generator is net.generator


def test_a_list_put_on_a_layer_of_torch_is_not_shared() -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    net[0].tags = ["old"]
    bound = Learner(net).bind(fresh(net))

    bound[0].tags.append("new")

    assert net[0].tags == ["old"]


def test_one_list_in_two_attributes_stays_one_in_an_instance() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    net.one = net.two = net[1].three = ["x", net[0]]

    bound = Learner(net).bind(fresh(net))

    assert bound.one is bound.two is bound[1].three
    assert bound.one[1] is bound[0]


def test_a_stateless_copy_refers_to_its_own_parts() -> None:
    net = Hiding(lambda net: [net.inner, net.gain], lambda kept, x: kept[0](x))

    copied = DependentModule.stateless(net)

    assert copied.kept[0] is copied.inner


def test_substitution_after_binding_is_seen_through_a_list_of_modules() -> None:
    net, x = Hiding(lambda net: [net.inner], lambda kept, x: kept[0](x)), inputs()
    bound = Learner(net).bind(fresh(net))
    weights = fresh(net)

    bound.substitute_from_list(weights)

    assert same(bound(x), expected(net, weights, x))


def test_clearing_is_seen_through_a_list_of_modules() -> None:
    net, x = Hiding(lambda net: [net.inner], lambda kept, x: kept[0](x)), inputs()
    weights = fresh(net)
    wanted = expected(net, weights, x)
    DependentModule(net).clear_params()

    net.substitute_from_list(weights)

    assert same(net(x), wanted)

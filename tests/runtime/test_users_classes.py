"""Users' own classes: whatever they override, conversion and calls go on being right."""

from __future__ import annotations

import io
import threading
from copy import deepcopy
from typing import Any

import pytest
import torch
from awkward_nets import (
    Absent,
    Base,
    BuildingInside,
    Concrete,
    Dataclass,
    Delegating,
    Inheriting,
    Nested,
    OfKind,
    Own,
    OwnApply,
    OwnCall,
    OwnChildren,
    OwnEq,
    OwnGetattr,
    OwnGetattribute,
    OwnLen,
    OwnNew,
    OwnNewWithArguments,
    OwnOfOwn,
    OwnParameters,
    OwnSetattr,
    OwnSubstitute,
    OwnTrain,
    ReadingParameters,
    Registered,
    Registering,
    Slotted,
    WithMeta,
    WithProperties,
)
from every_way import assert_the_same_in_every_way
from small_nets import expected, fresh, inputs, same, state_of
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.generated import DependentLinear, DependentLSTM

CLASSES = [
    OwnTrain,
    OwnGetattr,
    Delegating,
    OwnSetattr,
    OwnGetattribute,
    OwnChildren,
    OwnApply,
    OwnCall,
    OwnLen,
    OwnEq,
    OwnNew,
    Absent,
    Slotted,
    Dataclass,
    OfKind,
    OfKind[int],
    Concrete,
    WithMeta,
    Registered,
    OwnSubstitute,
    WithProperties,
    ReadingParameters,
    BuildingInside,
    lambda: Own(3, 2),
    lambda: OwnOfOwn(3, 2),
    lambda: Inheriting(3, 2),
    lambda: OwnNewWithArguments(2),
    Nested,
]
every = pytest.mark.parametrize(
    "make", CLASSES, ids=[getattr(c, "__name__", str(c)) for c in CLASSES]
)


# What compares them calls these methods, which here do something else.
OWN_DOORS = (OwnSetattr, OwnChildren, OwnEq, OwnSubstitute)
ordinary = pytest.mark.parametrize(
    "make",
    [kind for kind in CLASSES if kind not in OWN_DOORS],
    ids=[getattr(c, "__name__", str(c)) for c in CLASSES if c not in OWN_DOORS],
)


def twins(make: Any) -> tuple[Any, Any]:
    """Two instances with equal weights."""
    one, two = make(), make()
    nn.Module.load_state_dict(two, nn.Module.state_dict(one))
    return one, two


def weights_for(net: nn.Module) -> list[Tensor]:
    """Random leaves for all parameters, whatever `parameters` says."""
    named = nn.Module._named_members(plain_view(net), lambda m: m._parameters.items())
    return [torch.randn_like(p).requires_grad_() for _, p in named]


def plain_view(net: nn.Module) -> nn.Module:
    """The same tables under a class whose methods nobody overrides."""
    view = nn.Module()
    view._parameters, view._modules = net._parameters, net._modules
    return view


def filled(net: Any, weights: list[Tensor]) -> Any:
    """`net` with these values in its parameters."""
    named = nn.Module._named_members(plain_view(net), lambda m: m._parameters.items())
    for (_, parameter), value in zip(named, weights, strict=True):
        parameter.data.copy_(value.detach())
    return net


def in_mode(net: Any, training: bool) -> Any:
    """`net` in this mode; without its own `train` where that cannot work."""
    if not isinstance(net, (OwnSetattr, OwnChildren)):
        return net.train(training)
    net.__dict__["training"] = net.layer.training = training
    return net


@every
@pytest.mark.parametrize("training", [True, False])
def test_a_call_computes_what_the_class_computes_with_these_weights(make, training: bool) -> None:
    net, plain = twins(make)
    weights, x = weights_for(net), inputs()

    found = Learner(net).functional(weights, training, x)

    assert same(found, in_mode(filled(plain, weights), training)(x))


@every
def test_a_call_touches_nothing(make) -> None:
    net = make()
    before = {} if make in (OwnChildren, OwnEq) else state_of(net)

    Learner(net).functional(weights_for(net), False, inputs())

    assert before == ({} if make in (OwnChildren, OwnEq) else state_of(net))


@every
def test_conversion_keeps_what_the_class_computes(make) -> None:
    net, plain = twins(make)
    x = inputs()

    assert DependentModule(net) is net
    assert same(net(x), plain(x))


@every
def test_cleared_and_substituted_it_computes_with_these_weights(make) -> None:
    net, plain = twins(make)
    weights, x = weights_for(net), inputs()

    DependentModule.clear_params(DependentModule(net))
    DependentModule.substitute_from_list(net, weights)

    assert same(net(x), filled(plain, weights)(x))


@every
def test_stateless_works_for_the_class(make) -> None:
    net, plain = twins(make)
    weights, x = weights_for(net), inputs()

    copied = DependentModule.stateless(net)
    DependentModule.substitute_from_list(copied, weights)

    assert same(copied(x), filled(plain, weights)(x))


@every
def test_an_instance_is_of_the_users_class(make) -> None:
    net = make()
    kind = type(net)

    assert isinstance(Learner(net).bind(weights_for(net)), kind)
    assert isinstance(DependentModule(net), kind)


def test_a_users_subclass_of_linear_is_a_dependent_linear_with_its_own_forward() -> None:
    net, x = Own(3, 2), inputs()
    wanted = net(x)

    assert isinstance(DependentModule(net), DependentLinear)
    assert same(net(x), wanted)


def test_a_users_subclass_of_lstm_is_a_dependent_lstm_with_its_own_forward() -> None:
    class Mine(nn.LSTM):
        def forward(self, x: Tensor, state: Any = None) -> Any:
            out, state = super().forward(x, state)
            return out * 2, state

    net, x = Mine(3, 2), inputs(4, 2, 3)
    weights = fresh(net)

    bound = Learner(net).bind(weights)

    assert isinstance(bound, DependentLSTM)
    assert same(bound(x)[0], expected(net, weights, x)[0])


def test_parameters_in_a_forward_lists_the_substituted_tensors_and_buffers_does_not() -> None:
    seen: dict[str, list[Tensor]] = {}

    class Listing(Base):
        def forward(self, x: Tensor) -> Tensor:
            seen.update(parameters=list(self.parameters()), buffers=list(self.buffers()))
            return self.layer(x)

    net = Listing()
    weights = fresh(net)

    Learner(net).functional(weights, True, inputs())

    assert [id(p) for p in seen["parameters"]] == [id(w) for w in weights]
    assert seen["buffers"] == []


def test_own_methods_named_like_metanns_stay_the_users() -> None:
    net = DependentModule(OwnSubstitute())

    assert net.dependents() == "mine"


def test_a_registry_by_init_subclass_does_not_get_the_counterpart() -> None:
    before = dict(Registering.known)

    DependentModule(Registered())

    assert Registering.known == before


def test_a_module_that_keeps_its_own_list_of_parameters_takes_all_weights_by_name() -> None:
    net, x = OwnParameters(), inputs()
    weight, bias = torch.randn(2, 3), torch.randn(2)

    found = Learner(net).functional({"layer.weight": weight, "layer.bias": bias}, True, x)

    assert same(found, x @ weight.T + bias)


@ordinary
def test_it_is_the_plain_class_in_every_way(make) -> None:
    assert_the_same_in_every_way(make, inputs())


class Holding(nn.Module):
    """Holds what nobody can copy."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.lock = threading.Lock()
        self.numbers = (number for number in range(3))
        self.file = io.StringIO()
        self.computed = torch.randn(2, requires_grad=True) * 2
        self.parent = None

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return self.layer(x) * self.computed.detach()


def test_T58_what_cannot_be_copied_does_not_stop_a_module() -> None:
    with pytest.raises((TypeError, RuntimeError)):
        deepcopy(Holding())

    assert_the_same_in_every_way(Holding, inputs())

"""Libraries that look classes up by their names find those of converted modules, too."""

from __future__ import annotations

import importlib
import pickle
import sys
from abc import ABC, ABCMeta, abstractmethod
from copy import deepcopy
from typing import Any, ClassVar, Generic, TypeVar

import pytest
import torch
from small_nets import fresh, inputs, same
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.generated import DependentLinear

# What a library keeps of the classes of its models: which outputs can be recorded, by the name.
RECORDED: dict[str, tuple[type[nn.Module], ...]] = {}


def helper_of_the_library(x: Tensor) -> Tensor:
    return x + 1


class Layer(nn.Linear):
    """A layer of the library."""


class Recording(nn.Module):
    """A model of the library that returns what its layers returned, if its class is known."""

    recorded: tuple[type[nn.Module], ...] = (Layer,)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(Layer(3, 3), nn.Tanh(), Layer(3, 3))
        RECORDED[str(self.__class__)] = self.recorded

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        states: list[Tensor] = []
        kinds = RECORDED.get(str(self.__class__), ())
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, kinds):
                states.append(x)
        helpers = sys.modules[type(self).__module__]
        return helpers.helper_of_the_library(x), states


class Abstract(Recording, ABC):
    """An abstract model: its metaclass is not `type`."""

    @abstractmethod
    def name(self) -> str: ...


class Concrete(Abstract):
    def name(self) -> str:
        return "concrete"


class Meta(ABCMeta):
    """A library's own metaclass, which prints classes in its own way."""

    def __repr__(cls) -> str:
        return f"<model {cls.__name__}>"

    def __str__(cls) -> str:
        return f"model {cls.__name__}"


class OfMeta(Concrete, metaclass=Meta):
    """The metaclass of the subclass is more special than that of its base."""


class Other(Recording, metaclass=Meta):
    """One more with this metaclass."""


class OfTwo(Concrete, Other):
    """Its metaclass is that of the second base."""


T = TypeVar("T")


class OfKind(Recording, Generic[T]):
    """A generic model."""


class Registering(Recording):
    """A base that acts on its subclasses."""

    known: ClassVar[list[str]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.known.append(cls.__name__)


class Registered(Registering):
    """One of them."""


CLASSES = [Recording, Concrete, OfMeta, Other, OfTwo, OfKind, OfKind[int], Registered]
every = pytest.mark.parametrize("make", CLASSES, ids=lambda kind: str(kind).rpartition(".")[2])


@every
def test_a_call_returns_what_the_library_looks_up_by_the_class(make) -> None:
    net, x = make(), inputs()
    wanted, states = net(x)

    found, recorded = Learner(net).functional(net.parameters(), True, x)

    assert len(recorded) == len(states) == 2
    assert same(torch.stack([found, *recorded]), torch.stack([wanted, *states]))


@every
def test_a_converted_model_returns_what_the_library_looks_up_by_the_class(make) -> None:
    net, x = make(), inputs()
    wanted, states = net(x)

    found, recorded = DependentModule(net)(x)

    assert len(recorded) == len(states) == 2
    assert same(torch.stack([found, *recorded]), torch.stack([wanted, *states]))


@every
def test_the_counterpart_prints_as_the_class_and_its_modules_as_counterparts(make) -> None:
    net = make()
    kind = type(net)
    bound = Learner(net).bind(fresh(net))

    assert (str(type(bound)), repr(type(bound))) == (str(kind), repr(kind))
    assert f"{type(bound)}" == str(kind)
    assert repr(bound).startswith(f"Dependent{kind.__name__}(\n  (layers): DependentSequential(")


@every
def test_copies_are_looked_up_alike(make) -> None:
    net = DependentModule(make())

    assert type(deepcopy(net)) is type(net)
    assert type(pickle.loads(pickle.dumps(net))) is type(net)
    assert str(type(net)) in RECORDED


def test_a_class_of_a_counterpart_is_from_within_the_users_module() -> None:
    home = type(DependentModule(Recording())).__module__

    assert home.startswith(f"{__name__}.")
    assert sys.modules[home].helper_of_the_library is helper_of_the_library
    assert importlib.import_module(home) is sys.modules[home]


def test_what_neither_module_has_is_an_attribute_error() -> None:
    home = sys.modules[type(DependentModule(Recording())).__module__]

    with pytest.raises(AttributeError, match="no attribute 'no_such_helper'"):
        home.no_such_helper  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute '__builtins__'"):
        home.__builtins__  # noqa: B018  # The user's module has it.


def test_a_users_module_that_is_gone_is_an_attribute_error(monkeypatch) -> None:
    home = sys.modules[type(DependentModule(Recording())).__module__]
    monkeypatch.delitem(sys.modules, __name__)

    with pytest.raises(AttributeError, match="no attribute 'helper_of_the_library'"):
        home.helper_of_the_library  # noqa: B018


def test_a_subclass_of_a_counterpart_prints_as_itself() -> None:
    class Mine(type(DependentModule(Recording()))):
        pass

    assert str(Mine).endswith(".Mine'>")


def test_a_class_named_like_the_metaclass_is_converted() -> None:
    class ShownAsOriginal(nn.Linear):
        pass

    net = DependentModule(ShownAsOriginal(3, 2))

    assert isinstance(net, ShownAsOriginal)
    assert str(type(net)) == str(ShownAsOriginal)


def test_generated_and_registered_counterparts_print_as_themselves() -> None:
    assert str(DependentLinear) == "<class 'metann.generated.linear.DependentLinear'>"


def test_the_counterpart_of_an_abstract_class_is_checked_as_abc_does() -> None:
    class Duck:
        pass

    class Open(nn.Module, ABC):
        pass

    counterpart = type(DependentModule(Open()))
    counterpart.register(Duck)

    assert isinstance(Duck(), counterpart)
    assert isinstance(DependentModule(Open()), counterpart)


def test_a_converted_model_is_one_graph_for_torch_compile() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Layer(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) if isinstance(self.layer, Layer) else x

    net, x = DependentModule(Net()), inputs()

    assert same(torch.compile(net, fullgraph=True, backend="eager")(x), net(x))

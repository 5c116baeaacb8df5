"""Counterparts of users' classes in files: declared attributes and how the class prints."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metann import DependentModule, register
from metann.fields import dependent, submodule
from metann.identity import ShownAsOriginal


class Net(nn.Module):
    held = "of the class"

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2))
        self.linear = nn.Linear(2, 2)
        self.maybe = None

    @property
    def computed(self):
        return "computed"


class DependentNet(Net, DependentModule, metaclass=ShownAsOriginal):
    weight = dependent()
    linear = submodule()
    maybe = submodule()
    held = submodule()
    computed = dependent()
    missing = submodule()


def test_declared_attributes_are_read_from_the_tables():
    net = DependentNet()

    assert net.weight is net._parameters["weight"]
    assert net.linear is net._modules["linear"]
    assert net.maybe is None
    with pytest.raises(AttributeError, match=r"'DependentNet' object has no attribute 'missing'"):
        net.missing  # noqa: B018


def test_what_the_users_class_holds_is_not_hidden_by_a_declaration():
    assert (DependentNet().held, DependentNet().computed) == ("of the class", "computed")
    assert not {"held", "computed"} & vars(DependentNet).keys()


def test_a_declaration_may_be_repeated_in_a_subclass():
    class Deeper(DependentNet):
        linear = submodule()

    assert "linear" in vars(Deeper)
    assert isinstance(Deeper().linear, DependentModule)


def test_a_registered_counterpart_prints_as_the_class_it_stands_for():
    assert "DependentNet" in repr(DependentNet)
    register(Net, DependentNet)

    assert repr(DependentNet) == str(DependentNet) == repr(Net)
    assert repr(DependentNet()).startswith("DependentNet(")

    class Sub(DependentNet): ...

    assert "Sub" in repr(Sub)

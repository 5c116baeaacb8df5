"""A module comes back from its conversion as the counterpart of what it was."""

from __future__ import annotations

from torch import Tensor, nn
from typing_extensions import assert_type

from metann import DependentModule, register, to_dependent
from metann.generated import (
    DependentConv2d,
    DependentLinear,
    DependentModuleList,
    DependentNonDynamicallyQuantizableLinear,
    DependentReLU,
    DependentReLU6,
    DependentSequential,
    DependentTransformer,
)


class Net(nn.Module):
    """A module of the user's own, unknown to metann."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class DependentNet(Net, DependentModule):
    """What it may become."""


class MyLinear(nn.Linear):
    """A subclass of one of torch's layers."""


def known_layers() -> None:
    assert_type(to_dependent(nn.Conv2d(1, 2, 3)), DependentConv2d)
    assert_type(to_dependent(nn.Linear(3, 4)).bias, Tensor | None)
    assert_type(to_dependent(nn.Sequential(nn.ReLU())), DependentSequential)
    assert_type(to_dependent(nn.ModuleList()), DependentModuleList)
    assert_type(to_dependent(nn.Transformer()), DependentTransformer)
    assert_type(DependentModule.to_dependentmodule(nn.Conv2d(1, 2, 3)), DependentConv2d)
    assert_type(DependentModule.to_dependentmodule(nn.ReLU(), recurse=False), DependentReLU)


def a_subclass_before_its_base(attention: nn.MultiheadAttention) -> None:
    assert_type(to_dependent(nn.ReLU6()), DependentReLU6)
    assert_type(to_dependent(attention.out_proj), DependentNonDynamicallyQuantizableLinear)
    assert_type(to_dependent(MyLinear(3, 4)), DependentLinear)


def modules_of_the_users_own(net: nn.Module) -> None:
    assert_type(to_dependent(Net()), DependentModule)
    assert_type(to_dependent(net), DependentModule)
    assert_type(DependentModule.to_dependentmodule(Net()), DependentModule)
    assert_type(DependentModule(Net()), DependentModule)
    assert_type(DependentModule.stateless(Net()), DependentModule)
    register(Net, DependentNet)

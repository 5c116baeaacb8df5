"""Which classes are made dependent, and what becomes of their bases."""

from __future__ import annotations

import pytest
from before_after import assert_rewrites, assert_stays

BLOCKS = {"pkg.blocks": """
        from torch import nn

        class Block(nn.Module): ...
        class Conv(nn.Conv2d): ...
        class Plain: ...
        Alias = nn.Module
    """}


def test_a_module_becomes_a_dependent_module() -> None:
    assert_rewrites(
        """
        from torch import nn

        class Net(nn.Module):
            def forward(self, x): return x
        """,
        """
        from metann import DependentModule

        class DependentNet(DependentModule):
            def forward(self, x): return x
        """,
    )


@pytest.mark.parametrize(
    ("imports", "base", "left"),
    [
        ("import torch", "torch.nn.Module", ""),
        ("import torch.nn", "torch.nn.Module", ""),
        ("import torch.nn as nn", "nn.Module", ""),
        ("import torch.nn as N", "N.Module", ""),
        ("from torch import nn as N", "N.Module", ""),
        ("from torch.nn import Module", "Module", ""),
        ("from torch.nn import Module as M", "M", ""),
        ("from torch.nn.modules.module import Module", "Module", ""),
        ("from torch.nn.modules import Module", "Module", ""),
        ("import torch.nn.modules.module as mm", "mm.Module", ""),
        ("from torch.nn import *", "Module", "from torch.nn import *\n"),
        (
            "from torch import nn\nBase = nn.Module",
            "Base",
            "from torch import nn\nBase = nn.Module\n",
        ),
        ("from torch import *", "nn.Module", "from torch import *\n"),
    ],
)
def test_however_torchs_module_is_spelled(imports: str, base: str, left: str) -> None:
    before = f"{imports}\nclass Net({base}): ...\n"
    after = f"from metann import DependentModule\n{left}class DependentNet(DependentModule): ...\n"

    assert_rewrites(before, after)


def test_a_layer_of_torch_as_base_becomes_its_counterpart() -> None:
    assert_rewrites(
        """
        from torch import nn

        class MyConv(nn.Conv2d):
            def forward(self, x):
                return super(MyConv, self).forward(x)

        class Bottleneck(MyConv):
            def __init__(self):
                super(nn.Conv2d, self).__init__()
                nn.Conv2d.__init__(self, 1, 1, 1)
        """,
        """
        from metann.generated import DependentConv2d
        from torch import nn

        class DependentMyConv(DependentConv2d):
            def forward(self, x):
                return super(DependentMyConv, self).forward(x)

        class DependentBottleneck(DependentMyConv):
            def __init__(self):
                super(nn.Conv2d, self).__init__()
                DependentConv2d.__init__(self, 1, 1, 1)
        """,
    )


ON_OTHERS = """
    from typing import Generic, TypeVar
    from torch import nn
    from .blocks import Block, Conv, Plain, Alias

    T = TypeVar("T")

    class A(Block): ...
    class B(Conv): ...
    class C(Plain, Block, Generic[T]): ...
    class D(Plain): ...
    class E(A, Conv): ...
    class F(Conv, nn.Conv2d): ...
    class G(Block, A): ...
    class H(A, Block): ...
    class J(Block, Conv): ...
    class K(nn.Linear, Block): ...
    class I(
        Plain,
        Block,
    ): ...
    """

DEPENDENT_ON_OTHERS = """
    from typing import Generic, TypeVar
    from metann import DependentModule
    from metann.generated import DependentConv2d, DependentLinear
    from .blocks import Block, Conv, Plain, Alias

    T = TypeVar("T")

    class DependentA(Block, DependentModule): ...
    class DependentB(Conv, DependentConv2d): ...
    class DependentC(Plain, Block, DependentModule, Generic[T]): ...
    class D(Plain): ...
    class DependentE(DependentA, Conv, DependentConv2d): ...
    class DependentF(Conv, DependentConv2d): ...
    class DependentG(Block, DependentA): ...
    class DependentH(DependentA, Block, DependentModule): ...
    class DependentJ(Block, Conv, DependentConv2d): ...
    class DependentK(DependentLinear, Block, DependentModule): ...
    class DependentI(
        Plain,
        Block,
        DependentModule,
    ): ...
    """


def test_a_base_of_another_file_stays_and_gets_what_it_lacks_beside_it() -> None:
    assert_rewrites(
        ON_OTHERS,
        DEPENDENT_ON_OTHERS,
        BLOCKS,
    )


def test_a_base_class_of_torch_without_a_counterpart_stays() -> None:
    assert_rewrites(
        """
        from torch.nn.modules.batchnorm import _BatchNorm
        from torch.nn.modules.conv import _ConvNd

        class Norm(_BatchNorm): ...
        class Conv(_ConvNd): ...
        """,
        """
        from metann import DependentModule
        from torch.nn.modules.batchnorm import _BatchNorm
        from torch.nn.modules.conv import _ConvNd

        class DependentNorm(_BatchNorm, DependentModule): ...
        class DependentConv(_ConvNd, DependentModule): ...
        """,
    )


def test_type_arguments_and_metaclasses_stay() -> None:
    assert_rewrites(
        """
        from abc import ABCMeta
        from typing import Generic, TypeVar

        from torch import nn

        T = TypeVar("T", bound=nn.Linear)

        class Net(nn.Module, Generic[T], metaclass=ABCMeta): ...
        class Deep(Net[nn.Linear]): ...
        def f(net: Net[T]) -> "Net[T]": ...
        """,
        """
        from abc import ABCMeta
        from typing import Generic, TypeVar

        from metann import DependentModule
        from torch import nn

        T = TypeVar("T", bound=nn.Linear)

        class DependentNet(DependentModule, Generic[T], metaclass=ABCMeta): ...
        class DependentDeep(DependentNet[nn.Linear]): ...
        def f(net: DependentNet[T]) -> "DependentNet[T]": ...
        """,
    )


def test_classes_that_are_no_modules_stay() -> None:
    assert_stays(
        """
        from dataclasses import dataclass
        from torch.utils.data import Dataset
        from .blocks import Plain

        @dataclass
        class Config:
            Module: int

        class Data(Dataset): ...
        class Mine(Plain): ...
        class Module: ...
        class Other(Module): ...
        """,
        BLOCKS,
    )


def test_classes_that_are_dependent_already_stay() -> None:
    assert_stays("""
        import metann
        from metann import DependentModule
        from metann.generated import DependentLinear

        class Net(DependentModule): ...
        class Other(metann.DependentModule): ...
        class Layer(DependentLinear): ...
        class Deep(Net): ...
        """)


def test_a_base_may_have_been_given_another_name() -> None:
    assert_rewrites(
        """
        from torch import nn

        Base, Conv = nn.Module, nn.Conv2d
        Layer = nn.Linear
        Mine = Layer
        Self = Self

        class Net(Mine): ...
        Alias = Net
        class Deep(Alias): ...
        class Other(Self): ...
        """,
        """
        from metann.generated import DependentConv2d, DependentLinear
        from torch import nn

        Base, Conv = nn.Module, DependentConv2d
        Layer = DependentLinear
        Mine = Layer
        Self = Self

        class DependentNet(DependentLinear): ...
        Alias = DependentNet
        class DependentDeep(Alias): ...
        class Other(Self): ...
        """,
    )

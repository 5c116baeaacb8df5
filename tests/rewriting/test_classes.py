"""Classes get their new names, and their bases what makes them dependent."""

from __future__ import annotations

import pytest
from before_after import assert_rewrites, assert_stays, notes_of

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


def test_a_base_of_another_file_stays_and_gets_what_it_lacks_beside_it() -> None:
    assert_rewrites(
        """
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
        class I(
            Plain,
            Block,
        ): ...
        """,
        """
        from typing import Generic, TypeVar
        from metann import DependentModule
        from metann.generated import DependentConv2d
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
        class DependentI(
            Plain,
            Block,
            DependentModule,
        ): ...
        """,
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


def test_uses_of_a_class_follow_it() -> None:
    assert_rewrites(
        """
        from functools import partial

        from torch import nn

        class Block(nn.Module):
            blocks: "list[Block]"
            default = None

            def __init__(self, kind=None):
                super(Block, self).__init__()
                self.Block = kind

            def clone(self) -> "Block":
                assert isinstance(self, Block)
                assert issubclass(type(self), (Block, int))
                return Block(kind=Block)

        class Net(nn.Module):
            kind: type[Block] = Block

            def __init__(self, block: type[Block], f=lambda: Block()):
                super().__init__()
                self.Block = block()
                self.block = partial(Block, kind=self.Block.Block)

        REGISTRY = {"block": Block, Block: "Block"}
        Block.default = Block()
        register = [kind for kind in (Block, Net) if kind is not Block]

        @partial(print, Block)
        def build(net=Net(), *a: Net, **b: "Net") -> list[Net]:
            Net = 3
            return Net
        """,
        """
        from functools import partial

        from metann import DependentModule

        class DependentBlock(DependentModule):
            blocks: "list[DependentBlock]"
            default = None

            def __init__(self, kind=None):
                super(DependentBlock, self).__init__()
                self.Block = kind

            def clone(self) -> "DependentBlock":
                assert isinstance(self, DependentBlock)
                assert issubclass(type(self), (DependentBlock, int))
                return DependentBlock(kind=DependentBlock)

        class DependentNet(DependentModule):
            kind: type[DependentBlock] = DependentBlock

            def __init__(self, block: type[DependentBlock], f=lambda: DependentBlock()):
                super().__init__()
                self.Block = block()
                self.block = partial(DependentBlock, kind=self.Block.Block)

        REGISTRY = {"block": DependentBlock, DependentBlock: "Block"}
        DependentBlock.default = DependentBlock()
        register = [kind for kind in (DependentBlock, DependentNet) if kind is not DependentBlock]

        @partial(print, DependentBlock)
        def build(net=DependentNet(), *a: DependentNet, **b: "DependentNet") -> list[DependentNet]:
            Net = 3
            return Net
        """,
    )


def test_names_that_only_look_alike_stay() -> None:
    assert_rewrites(
        """
        import torch.nn.functional as F
        from torch import nn
        from other import Linear

        class Net(nn.Module):
            def forward(self, x, nn=None, Net=None):
                Linear(3, 4)
                self.nn.Linear, x.nn.Linear(), x.Net, nn.Linear, Net
                return F.linear(x, Linear=Linear)

        def conv(Conv2d): return Conv2d
        """,
        """
        import torch.nn.functional as F
        from metann import DependentModule
        from other import Linear

        class DependentNet(DependentModule):
            def forward(self, x, nn=None, Net=None):
                Linear(3, 4)
                self.nn.Linear, x.nn.Linear(), x.Net, nn.Linear, Net
                return F.linear(x, Linear=Linear)

        def conv(Conv2d): return Conv2d
        """,
    )


def test_classes_in_functions_and_conditions_are_renamed() -> None:
    assert_rewrites(
        """
        import torch
        from torch import nn

        def make(depth):
            class Inner(nn.Module):
                def clone(self): return Inner()
            if depth:
                return Inner()
            return nn.Sequential(*(Inner() for _ in range(depth)))

        if torch.cuda.is_available():
            class Net(nn.Module): ...
        else:
            class Net(nn.Linear): ...

        try:
            class Fast(nn.Module): ...
        except RuntimeError:
            Fast = None
        net = Net(Fast)
        """,
        """
        import torch
        from metann import DependentModule
        from metann.generated import DependentLinear, DependentSequential

        def make(depth):
            class DependentInner(DependentModule):
                def clone(self): return DependentInner()
            if depth:
                return DependentInner()
            return DependentSequential(*(DependentInner() for _ in range(depth)))

        if torch.cuda.is_available():
            class DependentNet(DependentModule): ...
        else:
            class DependentNet(DependentLinear): ...

        try:
            class DependentFast(DependentModule): ...
        except RuntimeError:
            DependentFast = None
        net = DependentNet(DependentFast)
        """,
    )


def test_a_class_whose_uses_cannot_be_followed_keeps_its_name() -> None:
    text = """
        from torch import nn
        try:
            from apex import LayerNorm
        except ImportError:
            class LayerNorm(nn.Module): ...

        class Net(nn.Module):
            class Block(nn.Module): ...

            def __init__(self):
                self.block = self.Block()
                self.norm = LayerNorm()
        """

    assert_rewrites(
        text,
        """
        from metann import DependentModule
        try:
            from apex import LayerNorm
        except ImportError:
            class LayerNorm(DependentModule): ...

        class DependentNet(DependentModule):
            class Block(DependentModule): ...

            def __init__(self):
                self.block = self.Block()
                self.norm = LayerNorm()
        """,
    )
    assert notes_of(text) == [
        (
            "line 5: class LayerNorm keeps its name",
            "the name stands for something else, too (line 3)",
        ),
        (
            "line 8: class Block keeps its name",
            "it is an attribute of the class around it, and may be read from anywhere",
        ),
    ]


def test_private_classes_stay_private() -> None:
    assert_rewrites(
        """
        from torch import nn
        class _Block(nn.Module): ...
        class Block(_Block): ...
        """,
        """
        from metann import DependentModule
        class _DependentBlock(DependentModule): ...
        class DependentBlock(_DependentBlock): ...
        """,
    )


def test_attributes_named_after_their_class_keep_their_names() -> None:
    """Python calls `self.__scale` in class Net `_Net__scale`, and so does state_dict."""
    assert_rewrites(
        """
        import torch
        from torch import nn

        class _Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.__scale, self.__init__ = nn.Parameter(torch.ones(3)), 3
            def forward(self, x):
                return self.__scale * self.__help(x)
            def __help(self, x):
                return x
        """,
        """
        import torch
        from metann import DependentModule
        from torch import nn

        class _DependentNet(DependentModule):
            def __init__(self):
                super().__init__()
                self._Net__scale, self.__init__ = nn.Parameter(torch.ones(3)), 3
            def forward(self, x):
                return self._Net__scale * self.__help(x)
            def __help(self, x):
                return x
        """,
    )


def test_names_that_are_bound_in_unusual_ways_follow() -> None:
    assert_rewrites(
        """
        from torch import nn

        class Net(nn.Module): ...

        def renew():
            global Net
            Net = type(Net)
            del Net

        def f(x):
            class Inner(nn.Module): ...
            def g():
                nonlocal Inner
                Inner = Net
            match x:
                case Net(net=1) | Inner(): return (Net2 := Net)
            return Net2.Net, f(Net=Net, **{"x": Net}), lambda Net: Net, [Net for Net in x]
        """,
        """
        from metann import DependentModule

        class DependentNet(DependentModule): ...

        def renew():
            global DependentNet
            DependentNet = type(DependentNet)
            del DependentNet

        def f(x):
            class DependentInner(DependentModule): ...
            def g():
                nonlocal DependentInner
                DependentInner = DependentNet
            match x:
                case DependentNet(net=1) | DependentInner(): return (Net2 := DependentNet)
            return Net2.Net, f(Net=DependentNet, **{"x": DependentNet}), lambda Net: Net, [Net for Net in x]
        """,  # noqa: E501
    )


def test_new_syntax_for_types() -> None:
    assert_rewrites(
        """
        from torch import nn

        type Layers = list[nn.Linear | Net]

        class Net[T: nn.Linear](nn.Module):
            inner: T

        def f[N: Net](net: N) -> Net[nn.Linear]: ...
        """,
        """
        from metann import DependentModule
        from torch import nn

        type Layers = list[nn.Linear | DependentNet]

        class DependentNet[T: nn.Linear](DependentModule):
            inner: T

        def f[N: DependentNet](net: N) -> DependentNet[nn.Linear]: ...
        """,
    )


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

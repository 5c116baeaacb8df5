"""Classes get their new names, and everything that names them follows."""

from __future__ import annotations

from before_after import assert_rewrites, notes_of

USES = """
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
    """

DEPENDENT_USES = """
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
    """


def test_uses_of_a_class_follow_it() -> None:
    assert_rewrites(
        USES,
        DEPENDENT_USES,
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


def test_an_attribute_of_the_same_name_is_no_use_of_the_class() -> None:
    assert_rewrites(
        """
        from torch import nn

        class Net(nn.Module): ...

        class Box:
            Linear = nn.Linear
            Net = Net
            kinds = [Net, Linear]
            def make(self): return self.Net, Net
        """,
        """
        from metann import DependentModule
        from metann.generated import DependentLinear

        class DependentNet(DependentModule): ...

        class Box:
            Linear = DependentLinear
            Net = DependentNet
            kinds = [Net, Linear]
            def make(self): return self.Net, DependentNet
        """,
    )

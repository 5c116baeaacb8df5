"""Which attributes of a user's module get a type in its counterpart, and which are named."""

from __future__ import annotations

import pytest
from user_files import IMPORTS, counterparts, in_init, write

__all__ = ["counterparts"]

FIELDS = {
    # ── weights ──────────────────────────────────────────────────────────────────────────────
    "self.w = nn.Parameter(torch.ones(2))": "w: Tensor = dependent()",
    "self.w: nn.Parameter = nn.Parameter(torch.ones(2))": "w: Tensor = dependent()",
    "self.w = nn.Parameter(torch.ones(2)) if wide else None": "w: Tensor | None = dependent()",
    "self.register_parameter('w', None)\nself.w = nn.Parameter(torch.ones(2))": (
        "w: Tensor = dependent()"
    ),
    "if wide:\n    self.w = nn.Parameter(torch.ones(2))\nelse:\n    self.w = None": (
        "w: Tensor | None = dependent()"
    ),
    "self.register_parameter('w', nn.Parameter(torch.ones(2)))": "w: Tensor = dependent()",
    "self.register_parameter(name='w', param=given)": "w: Tensor = dependent()",
    "self.w = torch.nn.parameter.Parameter(given)": "w: Tensor = dependent()",
    "self.w = nn.UninitializedParameter()": "w: Tensor = dependent()",
    "self.ws = nn.ParameterList([given])": "ws: DependentParameterList = submodule()",
    "self.ws = nn.ParameterDict({'a': given})": "ws: DependentParameterDict = submodule()",
    # ── submodules ───────────────────────────────────────────────────────────────────────────
    "self.c = nn.Conv2d(1, 2, 3)": "c: DependentConv2d = submodule()",
    "self.c = nn.Linear(2, 2).double().requires_grad_(False)": "c: DependentLinear = submodule()",
    "self.c = torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))": (
        "c: DependentLinear = submodule()"
    ),
    "self.c = nn.LazyLinear(3)": "c: DependentLinear = submodule()",
    "self.c = nn.ReLU() if wide else nn.GELU()": "c: DependentGELU | DependentReLU = submodule()",
    "self.c = None\nif wide:\n    self.c = nn.ReLU()": "c: DependentReLU | None = submodule()",
    "self.c = None\nself.c = nn.ReLU()": "c: DependentReLU = submodule()",
    "made = nn.ReLU\nself.c = made()": "c: DependentReLU = submodule()",
    "layer = nn.Linear(2, 2)\nself.c = layer": "c: DependentLinear = submodule()",
    "from functools import partial\nself.c = nn.Sequential(given)": (
        "c: DependentSequential = submodule()"
    ),
    "self.add_module('c', nn.Tanh())": "c: DependentTanh = submodule()",
    "self.register_module('c', nn.Tanh())": "c: DependentTanh = submodule()",
    "setattr(self, 'c', nn.Tanh())": "c: DependentTanh = submodule()",
    "with torch.no_grad():\n    self.c = nn.Tanh()": "c: DependentTanh = submodule()",
    "self.c = act": "c: DependentModule = submodule()",
    "self.c = maybe": "c: DependentConv1d | None = submodule()",
    "self.c = kind(3)": "c: DependentModule = submodule()",
    "self.c = maker(3)": "c: DependentModule = submodule()",
    "self.c = (act or nn.ReLU())": "c: DependentModule = submodule()",
    # ── buffers ──────────────────────────────────────────────────────────────────────────────
    "self.register_buffer('b', torch.ones(2))": "b: Tensor",
    "self.register_buffer('b', None, persistent=False)": "b: Tensor | None",
    "self.b = nn.Buffer(torch.ones(2))": "b: Tensor",
}
ARGUMENTS = (
    ", given, act: nn.Module, wide: bool, kind: type[nn.Module], "
    "maybe: nn.Conv1d | None = None, maker: Callable[..., nn.Module] = nn.ReLU"
)


@pytest.mark.parametrize("body", FIELDS)
def test_a_weight_a_submodule_or_a_buffer_gets_a_type(counterparts, body):
    assert counterparts(in_init(body, ARGUMENTS)).fields() == [FIELDS[body]]


@pytest.mark.parametrize(
    "body",
    [
        "self.x = 3",
        "self.x = given",
        "self.x = torch.ones(3)",
        "self.x = make()",
        "self.x = [nn.Linear(2, 2)]",
        "self.x = nn.functional.relu",
        "self.x = lambda: nn.Linear(2, 2)",
        "for self.x in given: pass",
        "self.x.y = nn.Linear(2, 2)",
        "other.x = nn.Linear(2, 2)",
    ],
)
def test_what_is_neither_or_not_known_gets_none(counterparts, body):
    written = counterparts(in_init(body, ", given, other"))

    assert written.fields() == []
    assert written.notes == []


SAID = {
    "self.x = nn.ReLU()\nif given:\n    self.x = given": (
        "Net.x",
        "it is also given something of which the source does not say what it is",
    ),
    "self.x = nn.ReLU() if given else nn.Parameter(torch.ones(1))": (
        "Net.x",
        "it is a module, a parameter or a buffer, depending on the run",
    ),
    "self.__x = nn.ReLU()": ("Net.__x", "a name with two underscores is the class's own"),
    "for i in range(3):\n    self.add_module(f'layer{i}', nn.ReLU())": (
        "Net: self.add_module(f'layer{i}', nn.ReLU())",
        "which names this gives is known only at run time; they are found, but have no type",
    ),
    "for i in range(3):\n    setattr(self, f'w{i}', nn.Parameter(torch.ones(i)))": (
        "Net: setattr(self, f'w{i}', nn.Parameter(torch.ones(i)))",
        "which names this gives is known only at run time; they are found, but have no type",
    ),
}


@pytest.mark.parametrize("body", SAID)
def test_what_would_have_a_type_but_for_something_is_said(counterparts, body):
    written = counterparts(in_init(body, ", given"))

    assert written.fields() == []
    assert written.notes == [SAID[body]]


@pytest.mark.parametrize(
    "held",
    [
        "x = None",
        "@property\n    def x(self) -> int: ...",
        "def x(self) -> int: ...",
        "__slots__ = ('x',)",
    ],
)
def test_a_name_that_the_class_itself_holds_stays_as_it_is(counterparts, held):
    source = in_init("self.x = nn.ReLU()") + f"    {held}\n"

    written = counterparts(source)

    assert written.fields() == []
    why = "the class itself holds a value of this name, which Python finds first"
    assert written.notes == [("Net.x", why)]


def test_all_methods_are_looked_at(counterparts):
    source = in_init("self._build()") + (
        "    def _build(this) -> None:\n        this.a, this.b = nn.ReLU(), nn.Tanh()\n"
        "        this.c = this._make()\n"
        "    def _make(self) -> nn.Sequential: ...\n"
        "    def other(self):\n        self.d = self.make_inferred()\n"
        "    def make_inferred(self):\n        if self.a:\n            return nn.ELU()\n"
        "        return nn.GELU()\n"
        "    @staticmethod\n    def no(self):\n        self.e = nn.ReLU()\n"
    )

    assert counterparts(source).fields() == [
        "a: DependentReLU = submodule()",
        "b: DependentTanh = submodule()",
        "c: DependentSequential = submodule()",
        "d: DependentELU | DependentGELU = submodule()",
    ]


def test_annotations_in_the_class_count_where_the_values_say_nothing(counterparts):
    source = f"""{IMPORTS}
from typing import Optional, Union
Act = Union[nn.ReLU, nn.GELU]
class Net(nn.Module):
    a: nn.Linear
    b: Optional[nn.Conv2d]
    c: "nn.Module"
    d: Act
    e: nn.Parameter
    f: Tensor
    g: int
    def __init__(self, made) -> None:
        super().__init__()
        self.a = made()
"""

    assert counterparts(source).fields() == [
        "e: Tensor = dependent()",
        "a: DependentLinear = submodule()",
        "b: DependentConv2d | None = submodule()",
        "c: DependentModule = submodule()",
        "d: DependentGELU | DependentReLU = submodule()",
    ]


def test_classes_are_found_however_they_are_imported(counterparts):
    source = """
import torch.nn as N, torch.nn
from torch.nn import Conv2d as C, ReLU
from torch.nn import *
from . import blocks, blocks as other
from .blocks import Block as B, conv3x3, Conv
Alias = N.Tanh
class Net(N.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = N.Linear(1, 1), C(1, 1, 1), ReLU(), Alias()
        self.e, self.f, self.g = GELU(), torch.nn.ELU(), Conv()
        self.h, self.i, self.j = B(), other.Block(), conv3x3()
        self.k = blocks.Derived(1, 1)
"""
    blocks = """
from torch import nn
from torch.nn import Conv1d as Conv
class Block(nn.Module): ...
class Derived(nn.Bilinear): ...
def conv3x3():
    return nn.Conv3d(1, 1, 1)
"""

    assert counterparts(source, blocks=blocks).fields() == [
        "a: DependentLinear = submodule()",
        "b: DependentConv2d = submodule()",
        "c: DependentReLU = submodule()",
        "d: DependentTanh = submodule()",
        "e: DependentGELU = submodule()",
        "f: DependentELU = submodule()",
        "g: DependentConv1d = submodule()",
        "h: DependentModule = submodule()",
        "i: DependentModule = submodule()",
        "j: DependentConv3d = submodule()",
        "k: DependentBilinear = submodule()",
    ]


def test_classes_of_the_same_file_are_their_counterparts(counterparts):
    source = in_init("self.block, self.inner = Block(), Block.Inner()") + (
        "class Block(nn.Module):\n    class Inner(nn.Module): ...\n"
    )

    assert counterparts(source).fields() == [
        "block: DependentBlock = submodule()",
        "inner: DependentBlockInner = submodule()",
    ]
    assert counterparts(source, names=("Net",)).fields() == [
        "block: DependentModule = submodule()",
        "inner: DependentModule = submodule()",
    ]


def test_attributes_are_inherited_and_replaced(counterparts):
    source = in_init("self.a, self.b = nn.ReLU(), nn.ReLU()") + (
        "class Deep(Net):\n    def __init__(self):\n        super().__init__()\n"
        "        self.b = nn.Tanh()\n        self.c = nn.ELU()\n"
    )

    assert counterparts(source).fields("DependentDeep") == [
        "b: DependentTanh = submodule()",
        "c: DependentELU = submodule()",
    ]
    assert counterparts(source, names=("Deep",)).fields("DependentDeep") == [
        "a: DependentReLU = submodule()",
        "b: DependentTanh = submodule()",
        "c: DependentELU = submodule()",
    ]


def test_attributes_of_bases_in_other_files_are_found(counterparts):
    source = "from .base import Base\nclass Net(Base): ...\n"
    base = in_init("self.a = nn.ReLU()\nself.w = nn.Parameter(torch.ones(2))")

    written = counterparts(source, base=base.replace("class Net", "class Base"))

    assert written.fields() == ["w: Tensor = dependent()", "a: DependentReLU = submodule()"]


def test_a_layer_of_torch_as_base_brings_its_own(counterparts):
    source = f"{IMPORTS}class Net(nn.Linear):\n    def __init__(self) -> None:\n"
    source += "        super().__init__(2, 2)\n        self.scale = nn.Parameter(torch.ones(2))\n"

    written = counterparts(source)

    assert written.head() == "class DependentNet(Net, DependentLinear, metaclass=ShownAsOriginal):"
    assert written.fields() == ["scale: Tensor = dependent()"]
    assert written.signatures()[-1].startswith("def substitute(self, named_params: Mapping[str")


SHAPES = {
    "torch.zeros(1, tokens, width)": "(1, tokens, width)",
    "torch.empty((width, self.depth))": "(width, depth)",
    "torch.randn([2, 3])": "(2, 3)",
    "0.02 * torch.randn(width)": "(width,)",
    "torch.ones((width)) * 0.1": "(width,)",
    "torch.full((2,), 3.0)": "(2,)",
    "torch.eye(width)": "(width, width)",
    "torch.tensor(1.0)": "()",
    "torch.rand(size=(4, 5))": "(4, 5)",
    "given": "as given",
    "torch.zeros(*given)": "as given",
    "given * torch.ones(width)": "as given",
    "torch.tensor([1.0, 2.0])": "as given",
}


@pytest.mark.parametrize("value", SHAPES)
def test_the_docstring_has_the_shape_as_the_source_shows_it(counterparts, value):
    source = in_init(f"self.w = nn.Parameter({value})", ", given, width: int, tokens: int")

    assert f"w: shape {SHAPES[value]}." in counterparts(source).lines()


def test_a_class_that_makes_other_objects_says_nothing_of_what_it_makes(counterparts):
    source = in_init("self.a, self.b = Maker(), Plain()") + (
        "class Maker(nn.Module):\n    def __new__(cls): ...\nclass Plain(nn.Module): ...\n"
    )

    assert counterparts(source).fields() == ["b: DependentPlain = submodule()"]


def test_of_files_that_are_imported_by_stars_only_those_that_may_define_the_name_are_read(
    tmp_path, torch_library
):
    source = "from .first import *\nfrom .second import *\n" + in_init("self.a = Block()").replace(
        "from __future__ import annotations\n", ""
    )
    second = "from torch import nn\nclass Block(nn.Tanh): ...\n"

    written = write(tmp_path, torch_library, source, first="class Other: ...", second=second)

    assert written.fields() == ["a: DependentTanh = submodule()"]
    assert "pkg.second" in written.read
    assert "pkg.first" not in written.read

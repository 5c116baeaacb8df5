"""What the counterparts of users' classes derive from, and which classes get none."""

from __future__ import annotations

import pytest
from user_files import IMPORTS, counterparts, in_init

from metann.codegen.errors import CodegenError

__all__ = ["counterparts"]

GENERIC = f"""{IMPORTS}
import abc
from typing import Generic, ParamSpec, Protocol, TypeVar
from .other import U
T = TypeVar("T")
P = ParamSpec("P")
class Mixin(Generic[T]): ...
class Meta(type): ...
"""

HEADS = {
    "class Net(nn.Module): ...": "Net, DependentModule, metaclass=ShownAsOriginal",
    "class Net(nn.Module, Generic[T]): ...": "Net[T], DependentModule, metaclass=ShownAsOriginal",
    "class Net(nn.Module, Generic[T, P]): ...": (
        "Net[T, P], DependentModule, metaclass=ShownAsOriginal"
    ),
    "class Net(nn.Module, Mixin[U]): ...": "Net[U], DependentModule, metaclass=ShownAsOriginal",
    "class Net(nn.Module, Mixin[int]): ...": "Net, DependentModule, metaclass=ShownAsOriginal",
    "class Base(nn.Module, Generic[T]): ...\nclass Net(Base[nn.Linear]): ...": (
        "Net, DependentBase[nn.Linear]"
    ),
    "class Base(nn.Module, Generic[T]): ...\nclass Net(Base[T]): ...": "Net[T], DependentBase[T]",
    "class Net(nn.ReLU6): ...": "Net, DependentReLU6, metaclass=ShownAsOriginal",
    "class Net(nn.ReLU, nn.Sequential): ...": (
        "Net, DependentReLU, DependentSequential, metaclass=ShownAsOriginal"
    ),
    "class Net(nn.Module, abc.ABC): ...": (
        "Net, DependentModule, metaclass=ShownAsOriginalByABCMeta"
    ),
    "class Net(nn.Module, metaclass=Meta): ...": (
        "Net, DependentModule, metaclass=ShownAsOriginalByMeta"
    ),
    "class Base(nn.Module): ...\nclass Net(Base, metaclass=Meta): ...": (
        "Net, DependentBase, metaclass=ShownAsOriginalByMeta"
    ),
    "class Base(nn.Module, metaclass=Meta): ...\nclass Net(Base): ...": "Net, DependentBase",
    "class Net(nn.Module):\n    def __init_subclass__(cls): ...": (
        "DependentModule, Net, written_for=Net, metaclass=ShownAsOriginal"
    ),
    "class Base(nn.Module):\n    def __init_subclass__(cls): ...\nclass Net(Base): ...": (
        "DependentModule, Net, written_for=Net, metaclass=ShownAsOriginal"
    ),
    "class Linear(nn.Linear): ...\nclass Net(nn.Linear): ...": (
        "Net, DependentLinear_, metaclass=ShownAsOriginal"
    ),
    "from missing import Strange\nclass Net(nn.Module, Strange): ...": "Net, DependentModule",
}


@pytest.mark.parametrize("source", HEADS)
def test_the_class_comes_first_then_the_counterparts_of_its_bases(counterparts, source):
    written = counterparts(
        f"{GENERIC}{source}\n", other="from typing import TypeVar\nU = TypeVar('U')"
    )

    assert written.head() == f"class DependentNet({HEADS[source]}):"


def test_type_parameters_are_those_of_the_class(counterparts):
    source = f"""{IMPORTS}
class Net[T: nn.Module, *Ts](nn.Module):
    def __init__(self, inner: T) -> None: ...
    def forward[K](self, x: K) -> T: ...
"""

    text = counterparts(source).text

    assert "class DependentNet[T: nn.Module, *Ts](" in text
    assert "Net[T, *Ts], DependentModule, metaclass=ShownAsOriginal" in text
    assert "def __call__[K](self, x: K) -> T: ..." in text
    assert "def to_dependent[T: nn.Module, *Ts](" in text


def test_nested_and_private_classes_have_names_of_their_own(counterparts):
    source = f"""{IMPORTS}
class Outer:
    class Inner(nn.Module): ...
class _Net(nn.Module): ...
class Net(nn.Module): ...
class _Head(nn.Module): ...
"""

    written = counterparts(source)

    assert [(item.spelled, item.name) for item in written.plan.layers] == [
        ("Outer.Inner", "DependentOuterInner"),
        ("_Net", "Dependent_Net"),
        ("Net", "DependentNet"),
        ("_Head", "DependentHead"),
    ]
    assert "metann.register(Outer.Inner, DependentOuterInner)" in written.text


BRANCHES = f"""{IMPORTS}
if torch.cuda.is_available():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.act = nn.Linear(1, 1), nn.ReLU()
        def forward(self, x: Tensor) -> Tensor: ...
else:
    class Net(nn.Module):
        def __init__(self, other: int) -> None:
            super().__init__()
            self.a, self.act = nn.Linear(1, 1), nn.GELU()
        def forward(self, x: Tensor) -> Tensor: ...
"""


def test_definitions_in_branches_have_types_for_what_they_agree_on(counterparts):
    written = counterparts(BRANCHES)

    assert 'if TYPE_CHECKING or callable(_defined.get("Net")):' in written.text
    assert written.fields() == ["a: DependentLinear = submodule()"]
    assert written.signatures() == ["def __call__(self, x: Tensor) -> Tensor"]
    why = "it has several definitions; what is not the same in all of them has no type"
    assert written.notes == [("Net", why)]


def test_a_name_that_may_be_another_packages_is_only_derived_from(counterparts):
    source = f"""{IMPORTS}
try:
    from fast import Norm
except ImportError:
    class Norm(nn.LayerNorm):
        def forward(self, x): ...
class Net(Norm): ...
"""

    written = counterparts(source)

    assert written.head("DependentNorm") == (
        "class DependentNorm(Norm, DependentModule, metaclass=ShownAsOriginal):"
    )
    why = "the name stands for something else in other runs, so nothing of it has a type"
    assert ("Norm", why) in written.notes


LEFT_OUT = {
    "class Mine(DependentModule): ...": ("Mine", "it is a DependentModule already"),
    "if TYPE_CHECKING:\n    class Only(nn.Module): ...": (
        "Only",
        "it exists for type checkers only",
    ),
    "class Gone(nn.Module): ...\ndel Gone": ("Gone", "its file deletes it again"),
    "@torch.jit.script\nclass Script(nn.Module): ...": (
        "Script",
        "what @torch.jit.script makes of it is no class to derive from",
    ),
    "def make():\n    if True:\n        class Local(nn.Module): ...": (
        "Local",
        "it is defined in a function, make, so no file can import it; its counterpart is written "
        "when the program first needs it",
    ),
    "from missing import Strange\nclass Odd(Strange): ...": (
        "Odd",
        "whether it is a module is not known, as no file was found that defines its base Strange",
    ),
}


@pytest.mark.parametrize("source", LEFT_OUT)
def test_a_class_without_a_counterpart_is_named_with_the_reason(counterparts, source):
    head = f"{IMPORTS}from typing import TYPE_CHECKING\nfrom metann import DependentModule\n"

    written = counterparts(f"{head}class Net(nn.Module): ...\n{source}\n")

    assert [item.name for item in written.plan.layers] == ["DependentNet"]
    assert written.notes == [LEFT_OUT[source]]


def test_a_file_in_which_nothing_can_be_written_is_an_error(counterparts):
    source = f"{IMPORTS}from metann import DependentModule\nclass Mine(DependentModule): ...\n"

    with pytest.raises(
        CodegenError,
        match=r"^Asked for the modules in pkg\.nets, but there is nothing to write: of Mine, it is "
        r"a DependentModule already\. Name another file or class\.$",
    ):
        counterparts(source)


def test_a_generated_name_that_torch_has_too_is_the_users(counterparts):
    source = in_init("self.norm, self.other = LayerNorm(3), nn.LayerNorm(3)") + (
        "class LayerNorm(nn.LayerNorm): ...\n"
    )

    written = counterparts(source)

    assert written.fields() == [
        "norm: DependentLayerNorm = submodule()",
        "other: DependentLayerNorm_ = submodule()",
    ]
    assert (
        "metann.generated.normalization.DependentLayerNorm as DependentLayerNorm_"
        in written.imports()
    )


def test_the_typed_door_has_subclasses_before_their_bases(counterparts):
    source = f"{IMPORTS}class Net(nn.Module): ...\nclass Deep(Net): ...\n"

    assert counterparts(source).text.endswith('''

@overload
def to_dependent(module: Deep, /) -> DependentDeep: ...
@overload
def to_dependent(module: Net, /) -> DependentNet: ...
def to_dependent(module: nn.Module, /) -> DependentModule:
    """Turn a module, and all its submodules, into its counterpart in place, and return it."""
    return metann.to_dependent(module)
''')
    assert counterparts(source, names=("Net",)).text.endswith('''

def to_dependent(module: Net, /) -> DependentNet:
    """Turn a module, and all its submodules, into its counterpart in place, and return it."""
    return cast(DependentNet, metann.to_dependent(module))
''')


def test_the_same_source_gives_the_same_bytes(counterparts):
    assert counterparts(BRANCHES).text == counterparts(BRANCHES).text

"""The signatures of a user's constructor and forward, in the written file."""

from __future__ import annotations

import pytest
from user_files import IMPORTS, counterparts

__all__ = ["counterparts"]

HEAD = f"""{IMPORTS}
import enum, typing as t
import torch.utils.data
from abc import abstractmethod
from typing import Any, Literal, Optional, TypeVar, overload
from typing_extensions import Self
from .other import Config, make
T = TypeVar("T")
_Size = int | tuple[int, int]
DEFAULT = 3
class Mode(enum.Enum):
    FAST = 1
"""

SIGNATURES = {
    "(self, x: Tensor) -> Tensor": "(self, x: Tensor) -> Tensor",
    "(self, x, y=1)": "(self, x: Any, y: Any=1) -> Any",
    "(self, x: int = None) -> None": "(self, x: int | None=None) -> None",
    "(self, x: Optional[int] = None) -> None": "(self, x: Optional[int]=None) -> None",
    "(self, a: int, /, b: int, *, c: int = 2) -> int": (
        "(self, a: int, /, b: int, *, c: int=2) -> int"
    ),
    "(self, /, a: int) -> int": "(self, a: int) -> int",
    "(self, *args: int, **kwargs: Any) -> int": "(self, *args: int, **kwargs: Any) -> int",
    "(this, x: 'Tensor') -> 'list[Net]'": "(self, x: Tensor) -> list[Net]",
    "(self, x: Literal['int', 'a']) -> Self": "(self, x: Literal['int', 'a']) -> Self",
    "(self, x: t.Sequence[nn.Linear]) -> t.Any": ("(self, x: t.Sequence[nn.Linear]) -> t.Any"),
    "(self, x: torch.utils.data.Dataset) -> torch.dtype": (
        "(self, x: torch.utils.data.Dataset) -> torch.dtype"
    ),
    "(self, x: Mode = Mode.FAST, y: int = DEFAULT) -> Config": (
        "(self, x: Mode=Mode.FAST, y: int=DEFAULT) -> Config"
    ),
    "(self, x: _Size, y: T) -> T": "(self, x: _Size, y: T) -> T",
    "(self, x: Kind = LEVEL) -> Inner": "(self, x: Net.Kind=Net.LEVEL) -> Net.Inner",
    "(self, x: str = 'Net', y: str = \"it's\") -> int": (
        "(self, x: str='Net', y: str=\"it's\") -> int"
    ),
    "(self, x: int = make(3), y: int = nowhere) -> int": (
        "(self, x: int=make(3), y: int=...) -> int"
    ),
    "(self, x: Any = lambda y: y) -> int": "(self, x: Any=...) -> int",
    "(self, x: Any = [1111111111, 2222222222, 3333333333, 4444444444]) -> int": (
        "(self, x: Any=...) -> int"
    ),
}


@pytest.mark.parametrize("signature", SIGNATURES)
def test_what_forward_takes_and_returns_is_what_a_call_does(counterparts, signature):
    source = f"""{HEAD}
class Net(nn.Module):
    Kind = Literal["a"]
    LEVEL = "a"
    class Inner: ...
    def forward{signature}: ...
"""

    written = counterparts(source, other="")

    assert written.signatures() == [f"def __call__{SIGNATURES[signature]}"]
    assert written.notes == []


def test_the_constructor_is_declared_and_forward_is_inherited(counterparts):
    source = f"""{HEAD}
class Net(nn.Module):
    def __init__(self, width: int, act=nn.ReLU, *, config: Config | None = None):
        ...
    def forward(self, x): ...
class Deep(Net): ...
"""

    written = counterparts(source, other="")

    assert written.signatures() == [
        "def __init__(self, width: int, act: Any=nn.ReLU, *, config: Config | None=None) -> None",
        "def __call__(self, x: Any) -> Any",
    ]
    assert written.signatures("DependentDeep") == []
    assert "pkg.other.Config" in written.imports()


def test_overloads_static_methods_and_coroutines(counterparts):
    source = f"""{HEAD}
class Net(nn.Module):
    @overload
    def forward(self, x: int) -> int: ...
    @overload
    def forward(self, x: str) -> str: ...
    def forward(self, x): ...
class Static(nn.Module):
    @staticmethod
    def forward(x: int) -> int: ...
class Later(nn.Module):
    async def forward(self, x: int) -> int: ...
class Called(nn.Module):
    def __call__(self, x: int) -> int: ...
    def forward(self, x: int) -> int: ...
"""

    written = counterparts(source, other="")

    assert written.signatures() == [
        "@overload\ndef __call__(self, x: int) -> int",
        "@overload\ndef __call__(self, x: str) -> str",
        "def __call__(self, *args: Any, **kwargs: Any) -> Any",
    ]
    assert written.signatures("DependentStatic") == ["def __call__(self, x: int) -> int"]
    assert written.signatures("DependentLater") == [
        "def __call__(self, x: int) -> Coroutine[Any, Any, int]"
    ]
    assert written.signatures("DependentCalled") == []


def test_what_nothing_defines_becomes_any_and_is_said(counterparts):
    source = (
        f"{HEAD}class Net(nn.Module):\n    def forward(self, x: Nowhere, y: 'b c') -> int: ...\n"
    )

    written = counterparts(source, other="")

    assert written.signatures() == ["def __call__(self, x: Any, y: 'b c') -> int"]
    assert written.notes == [
        (
            "Net.forward",
            "the annotation `Nowhere` has become Any, because nothing in pkg.nets defines Nowhere",
        )
    ]


def test_names_that_the_file_itself_needs_are_imported_by_others(counterparts):
    source = """
from torch import nn
from .other import nn as special
class Any(nn.Module): ...
class Tensor(nn.Module):
    def forward(self, x, y: Any, z: "Tensor", a: special.B) -> list: ...
class DependentTensor: ...
class int: ...
class Net(nn.Module):
    def __init__(self):
        self.register_buffer("b", None)
    def forward(self, x: DependentTensor, y: int) -> None: ...
"""

    written = counterparts(source, other="from torch import nn")

    assert written.signatures("DependentTensor") == [
        "def __call__(self, x: Any, y: Any_, z: Tensor_, a: special.B) -> list"
    ]
    assert written.signatures() == [
        "def __init__(self) -> None",
        "def __call__(self, x: DependentTensor_, y: int_) -> None",
    ]
    assert written.fields() == ["b: Tensor | None"]
    assert "pkg.nets.Tensor as Tensor_" in written.imports()
    assert "pkg.nets.DependentTensor as DependentTensor_" in written.imports()


def test_names_from_branches_and_stars_are_imported_from_where_they_are(counterparts):
    source = """
from torch import nn
from .other import *
try:
    from typing import Never
except ImportError:
    from typing_extensions import Never
if nn:
    Size = int
else:
    Size = str
class Net(nn.Module):
    def forward(self, a: Never, b: Size, c: Config, d: Hidden) -> None: ...
"""

    written = counterparts(source, other="class Config: ...")

    assert written.signatures() == [
        "def __call__(self, a: Never, b: Size, c: Config, d: Hidden) -> None"
    ]
    imports = written.imports()
    assert {"typing.Never", "pkg.nets.Size", "pkg.other.Config", "pkg.nets.Hidden"} <= {*imports}

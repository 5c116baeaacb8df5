"""Written files whose attributes have the names of what the files themselves use."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import mypy_cache
import pytest
import torch
from test_user_checkers import ROOT, run
from user_files import IMPORTS, Written, counterparts, in_init, write

__all__ = ["counterparts"]

# Each name is one that the body of a written class, or an annotation in it, uses.
OURS = """\
self.dependent = nn.Parameter(torch.ones(2))
self.w = nn.Parameter(torch.ones(2))
self.submodule = nn.Linear(2, 3)
self.tail = nn.Linear(3, 2)
self.Tensor = nn.Linear(2, 2)
self.torch = nn.Linear(2, 2)
self.nn = nn.Linear(2, 2)
self.Any = nn.Linear(2, 2)
self.DependentModule = act
self.DependentLinear = nn.Linear(2, 2)
self.DependentTanh = nn.Tanh()
self.Net = nn.ReLU()
self.int = nn.ReLU()
self.list = nn.ReLU()
self.metann = nn.ReLU()
self.cast = nn.ReLU()
self.warnings = nn.ReLU()
self.ShownAsOriginal = nn.ReLU()
"""
ARGUMENTS = ", act: nn.Module, n: int, sizes: list[int], at: torch.device | None = None"
FORWARD = """\
    def forward(self, x: Tensor, n: int = 2) -> Tensor:
        y: Tensor = self.tail(self.submodule(x)) * self.w + self.dependent * n
        return y
"""


def checked(folder: Path, written: Written) -> str:
    """What type checkers say of a file written into `folder`, beside the user's; "" if nothing."""
    (folder / "written.py").write_text(written.text)
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "pythonVersion": "3.10"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    mypy_cache.copy_into(folder)
    printed = run(folder, "mypy", *mypy_cache.SETTINGS, "--no-error-summary", "written.py")
    found = json.loads(run(folder, "pyright", "--outputjson", "written.py"))["generalDiagnostics"]
    return printed + "\n".join(f"{item['range']['start']}: {item['message']}" for item in found)


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Import a file that was written into the test's folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(written: Written):
        (tmp_path / "written.py").write_text(written.text)
        spec = importlib.util.spec_from_file_location("written", tmp_path / "written.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in ("pkg", "pkg.nets"):
        sys.modules.pop(name, None)


def test_attributes_called_like_what_the_file_uses_stay_attributes(
    tmp_path, torch_library, imported
):
    source = in_init(OURS, ARGUMENTS) + FORWARD

    written = write(tmp_path, torch_library, source)

    module = imported(written)
    net = module.Net_(torch.nn.Tanh(), 3, [3])
    x = torch.randn(4, 2)
    expected = net(x)
    made = module.to_dependent(net)
    assert isinstance(made, module.DependentNet)
    torch.testing.assert_close(made(x), expected, rtol=0, atol=0)
    assert "tail: DependentLinear_ = submodule_()" in written.fields()
    assert "w: Tensor_ = dependent_()" in written.fields()
    assert written.notes == []
    assert checked(tmp_path, written) == ""


def test_an_import_of_a_module_in_a_package_is_of_the_package_under_another_name(counterparts):
    source = f"import collections.abc\n{IMPORTS}" + (
        "class Net(nn.Module):\n"
        "    def __init__(self, made: collections.abc.Callable[[], None]) -> None:\n"
        "        super().__init__()\n"
        "        self.collections = nn.ReLU()\n"
    )

    written = counterparts(source)

    assert "import collections as collections_" in written.text
    assert written.signatures() == [
        "def __init__(self, made: collections_.abc.Callable[[], None]) -> None"
    ]


@pytest.mark.parametrize("name", ["TYPE_CHECKING", "overload"])
def test_an_attribute_whose_name_no_class_can_do_without_has_no_type(counterparts, name):
    written = counterparts(in_init(f"self.{name} = nn.ReLU()\nself.a = nn.ReLU()"))

    assert written.fields() == ["a: DependentReLU = submodule()"]
    why = "the written file needs this name for itself, so the attribute has no type"
    assert written.notes == [(f"Net.{name}", why)]


def test_names_that_do_not_clash_are_as_they_were(counterparts):
    written = counterparts(in_init("self.act = nn.ReLU()", ", n: int, x: Tensor"))

    assert "as " not in "".join(written.imports())
    assert written.signatures() == ["def __init__(self, n: int, x: Tensor) -> None"]


ANNOTATED = f"""{IMPORTS}
class Net(nn.Module):
    layerss: nn.ModuleList
    encoder_stack: nn.TransformerEncoder
    a_name_as_long_as_it_takes_to_fill_a_line_of_a_hundred: nn.Conv2d | None

    def __init__(self, inner: nn.TransformerEncoderLayer, wide: bool) -> None:
        super().__init__()
        self.layerss = nn.ModuleList()
        self.encoder_stack = nn.TransformerEncoder(inner, 2)
        self.a_name_as_long_as_it_takes_to_fill_a_line_of_a_hundred = None
        self.another_name_as_long_as_it_takes_to_fill_a_line = nn.ReLU() if wide else nn.GELU()
"""
OVERRIDES = "# pyright: reportIncompatibleVariableOverride=false\n"


def test_what_checkers_are_told_of_long_lines_is_where_they_look_for_it(tmp_path, torch_library):
    written = write(tmp_path, torch_library, ANNOTATED)

    assert OVERRIDES in written.text
    assert checked(tmp_path, written) == ""


def test_what_is_not_needed_is_not_said(counterparts):
    assert OVERRIDES not in counterparts(in_init("self.act = nn.ReLU()")).text
    annotated = counterparts(f"{IMPORTS}class Net(nn.Module):\n    act: nn.ReLU\n").text
    assert OVERRIDES in annotated


GENERIC = f"""
from typing import Generic, TypeVar, final
{IMPORTS.partition("annotations")[2]}
T = TypeVar("T")
K = TypeVar("K")

class Box(nn.Module, Generic[T]):
    def forward(self, x: T) -> T:
        return x

class Pair(nn.Module, Generic[K, T]):
    def forward(self, x: T, y: K) -> T:
        return x

class Known(Box[Tensor]):
    pass

@final
class Net(nn.Module):
    def __init__(self, given: Box[Tensor] | None) -> None:
        super().__init__()
        self.given = given
        self.made: Box[Tensor] = Box()
        self.pair = Pair[Tensor, int]()
        self.known = Known()
"""


def test_a_child_of_a_generic_class_has_arguments_and_a_final_class_a_counterpart(
    tmp_path, torch_library
):
    written = write(tmp_path, torch_library, GENERIC)

    assert written.fields() == [
        "given: DependentBox[Any] | None = submodule()",
        "made: DependentBox[Any] = submodule()",
        "pair: DependentPair[Any, Any] = submodule()",
        "known: DependentKnown = submodule()",
    ]
    assert checked(tmp_path, written) == ""
    (tmp_path / "pyrefly.toml").write_text(f"search-path = [{json.dumps(str(ROOT))}, '.']")
    printed = run(tmp_path, "pyrefly", "check", "written.py")
    assert "0 errors" in printed, printed

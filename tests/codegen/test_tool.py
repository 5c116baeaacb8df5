"""The maintainers' command, through its whole cycle, on a torch of three classes."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from small_torch import write_torch
from typer.testing import CliRunner

from metann.codegen import tool as tool_module
from metann.codegen.errors import CodegenError
from metann.codegen.generate import Places
from metann.codegen.render import TEMPLATES
from metann.codegen.tool import Options, run

POOL = "class Pool(Module):\n    def forward(self, input: int) -> int:\n        return input\n"


class Tool:
    """The command on folders of its own; each call gives (exit status, what is printed)."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(TEMPLATES, folder / "templates")
        write_torch(folder / "torch", pool=POOL)
        self.places = Places(folder / "torch", folder / "templates", folder / "generated")

    def __call__(self, **options) -> tuple[int, str]:
        console = Console(file=io.StringIO(), width=200)
        status = run(self.places, Options(**options), console)
        return status, console.file.getvalue()

    def contents(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.places.generated.iterdir()}


@pytest.fixture
def tool(tmp_path) -> Tool:
    made = Tool(tmp_path)
    made()
    return made


def test_up_to_date(tool):
    assert tool(check=True) == (0, "5 files up to date with torch 2.13.0\n")


def test_the_summary_counts_layers_and_names_states(tool):
    (tool.places.generated / "pool.py").unlink()

    status, printed = tool()

    assert status == 0
    rows = [line.split("│")[1:-1] for line in printed.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["__init__.py", "0", "0", "0", "up to date"],
        ["_table.py", "0", "0", "0", "up to date"],
        ["linear.py", "2", "2", "0", "up to date"],
        ["overloads.py", "0", "0", "0", "up to date"],
        ["pool.py", "1", "1", "0", "created"],
    ]
    assert printed.endswith(
        "3 counterparts from torch 2.13.0: 3 written out, 0 delegating; 1 skipped\n"
    )


def test_missing_changed_and_orphaned_files_are_named_with_a_diff_and_mended(tool):
    before = tool.contents()
    generated = tool.places.generated
    (generated / "pool.py").unlink()
    (generated / "linear.py").write_text(before["linear.py"].replace("F.linear", "F.lineal"))
    (generated / "gone.py").write_text(before["pool.py"])

    status, printed = tool(check=True)

    assert status == 1
    assert "-        return F.lineal(input" in printed
    assert "+        return F.linear(input" in printed
    assert printed.splitlines()[-5:] == [
        "gone.py: orphaned",
        "linear.py: changed",
        "pool.py: missing",
        "generated/ is out of date; run `python tools/generate.py`",
        "If you have edited one of these files: the command undoes that (lines with - above). Make "
        "the edit in templates/ or metann/codegen/ instead. Commit what it writes together with "
        "the change that is behind it.",
    ]
    assert tool()[0] == 0
    assert tool.contents() == before
    assert tool(check=True)[0] == 0


def test_where_no_edit_can_be_lost_none_is_spoken_of(tool):
    (tool.places.generated / "pool.py").unlink()

    assert tool(check=True)[1].splitlines()[-2:] == [
        "generated/ is out of date; run `python tools/generate.py`",
        "Commit what it writes together with the change that is behind it.",
    ]


def test_check_and_diff_write_nothing(tool):
    (tool.places.generated / "pool.py").unlink()
    before = tool.contents()

    assert tool(check=True)[0] == 1
    status, printed = tool(diff=True)

    assert status == 0
    assert "+class DependentPool(nn.Pool, DependentModule):" in printed
    assert tool.contents() == before


def test_files_for_another_torch_are_told_apart_from_drift(tool):
    write_torch(tool.places.torch, version="2.14.0", pool=POOL.replace("input", "x"))

    status, printed = tool(check=True)

    assert status == 1
    assert printed == (
        "generated from torch 2.13.0, this is torch 2.14.0: install that torch to check the "
        "files, or run `python tools/generate.py` to generate them from this one\n"
    )
    assert tool()[0] == 0
    assert tool(check=True) == (0, "5 files up to date with torch 2.14.0\n")


def test_a_changed_template_is_noticed(tool):
    template = tool.places.templates / "docstring.jinja"
    template.write_text(template.read_text().replace("Counterpart of", "Twin of"))

    status, printed = tool(check=True)

    assert status == 1
    assert '+    """Twin of torch.nn.Pool.' in printed


def test_a_changed_torch_is_noticed(tool):
    write_torch(tool.places.torch, pool=POOL.replace("return input", "return input + 1"))

    assert "+        return input + 1\n" in tool(check=True)[1]


def test_what_is_broken_is_written_anew(tool):
    before = tool.contents()
    (tool.places.generated / "linear.py").write_text("class (:\n")
    (tool.places.generated / "__init__.py").write_text("raise RuntimeError\n")
    (tool.places.generated / "_table.py").write_bytes(b"\xff\xfe")

    assert tool()[0] == 0
    assert tool.contents() == before


def test_a_file_of_somebody_else_is_reported_and_kept(tool):
    mine = tool.places.generated / "mine.py"
    mine.write_text("x = 1\n")
    advice = "mine.py was not written by the generator; move it to another folder\n"

    for options in ({"check": True}, {}):
        status, printed = tool(**options)
        assert status == 1
        assert printed.endswith(advice)
    assert mine.read_text() == "x = 1\n"


def test_only_some_files_are_refreshed(tool):
    for name in ("linear.py", "pool.py"):
        (tool.places.generated / name).unlink()

    assert tool(only=["nn.Pool"])[0] == 0

    assert (tool.places.generated / "pool.py").exists()
    assert not (tool.places.generated / "linear.py").exists()


def test_an_unknown_name_is_an_error_with_the_nearest_ones(tool):
    with pytest.raises(CodegenError) as caught:
        tool(only=["Linaer"])

    assert str(caught.value) == (
        "Asked for only Linaer, but no counterpart is generated for a class of that name; the "
        "nearest are Linear, LazyLinear. `python tools/generate.py --list` shows them all."
    )


@pytest.mark.parametrize("name", ["Pool", "nn.Pool", "torch.nn.Pool", "DependentPool"])
def test_a_class_may_be_named_in_any_way(tool, name):
    assert "pool.py" in tool(only=[name])[1]
    assert "linear.py" not in tool(only=[name])[1]


def test_the_command_prints_an_error_and_exits_with_2(monkeypatch):
    def no_torch() -> Places:
        raise CodegenError("torch is not installed here")

    monkeypatch.setattr(tool_module, "usual_places", no_torch)
    done = CliRunner().invoke(tool_module.app, ["--check"])

    assert done.exit_code == 2
    assert done.stderr == "torch is not installed here\n"


def test_the_list_has_every_class_with_its_reason(tool):
    assert tool(list_classes=True)[1].splitlines() == [
        "torch.nn.Linear      written out",
        "torch.nn.LazyLinear  inherits the forward of the counterpart of torch.nn.Linear",
        "torch.nn.Pool        written out",
        "torch.nn.Module      skipped: its counterpart is DependentModule itself",
        "3 counterparts from torch 2.13.0: 3 written out, 0 delegating; 1 skipped",
    ]

"""Written files under type checkers, isort and black: as clean as the user's own file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import black
import mypy_cache
import pytest
import sample_nets as nets
from test_user_running import written

__all__ = ["written"]

ROOT = Path(__file__).resolve().parents[2]
USE = """\
import torch
from dependent_sample_nets import (
    DependentBlock, DependentDeep, DependentScaled, DependentWrapped, DependentWrapper, to_dependent
)
from metann.generated import (
    DependentLinear, DependentParameterList, DependentReLU, DependentSequential, DependentTanh
)
from sample_nets import Block, Deep, Scaled, Wrapped, Wrapper
from torch import Tensor
from typing_extensions import assert_type

x = torch.ones(2, 4)
block = to_dependent(Block(4))
assert_type(block, DependentBlock)
assert_type(block(x), Tensor)
assert_type(block.scale, Tensor | None)
assert_type(block.lin, DependentLinear)
assert_type(block.act, DependentReLU | DependentTanh)
assert_type(block.shift, Tensor)
deep = to_dependent(Deep())
assert_type(deep, DependentDeep)
assert_type(deep.head, DependentLinear)
assert_type(deep.tail, DependentSequential)
assert_type(deep.extra, DependentParameterList)
assert_type(to_dependent(Scaled(3)), DependentScaled)
assert_type(to_dependent(Scaled(3)).gain, Tensor)
assert_type(to_dependent(Scaled(3))(x=x, power=2.0), Tensor)
assert_type(to_dependent(Wrapper(Block(4))), DependentWrapper[Block])
assert_type(to_dependent(Wrapped()), DependentWrapped)
DependentBlock(4, "tanh", scaled=False)
"""
WRONG = """\
from dependent_sample_nets import DependentBlock
import torch

DependentBlock("4")
DependentBlock(4, "elu")
DependentBlock(4, wide=True)
DependentBlock(4)(torch.ones(4), 5)
DependentBlock(4).lin = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, written) -> Path:
    """The sample, its counterparts, and files that use them."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "sample_nets.py").write_text(Path(nets.__file__).read_text())
    (folder / "dependent_sample_nets.py").write_text(written.text)
    (folder / "use.py").write_text(USE)
    (folder / "wrong.py").write_text(WRONG)
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "pythonVersion": "3.10"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    return folder


# Left alone, these two look for packages in the first Python of the PATH.
THIS_PYTHON = {
    "pyright": ("--pythonpath", sys.executable),
    "pyrefly": ("--python-interpreter-path", sys.executable),
}


def run(folder: Path, tool: str, *arguments: str) -> str:
    """What a command prints about the files in the folder."""
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments, *THIS_PYTHON.get(tool, ())],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


CLEAN = ("sample_nets.py", "dependent_sample_nets.py", "use.py")


def test_mypy_finds_the_types_and_nothing_to_complain_of(folder):
    mypy_cache.copy_into(folder)
    run_mypy = partial(run, folder, "mypy", *mypy_cache.SETTINGS)

    assert run_mypy(*CLEAN) == "Success: no issues found in 3 source files\n"
    printed = run_mypy("wrong.py")
    lines = dict.fromkeys(line.split(":")[1] for line in printed.splitlines()[:-1])
    assert list(lines) == ["4", "5", "6", "7", "8"]


def test_pyright_finds_the_types_and_nothing_to_complain_of(folder):
    printed = json.loads(run(folder, "pyright", "--outputjson"))["generalDiagnostics"]

    wrong = [(Path(item["file"]).name, item["range"]["start"]["line"] + 1) for item in printed]
    assert wrong == [("wrong.py", number) for number in (4, 5, 6, 7, 8)], printed


def test_the_layout_is_that_of_black_and_the_imports_are_in_order(folder, written):
    mode = black.Mode(line_length=100, target_versions={black.TargetVersion.PY310})
    assert black.format_str(written.text, mode=mode) == written.text

    rules = ("check", "--isolated", "--select=I,F", "--line-length=100")
    assert run(folder, "ruff", *rules, "dependent_sample_nets.py") == "All checks passed!\n"

"""docs/typed-projects.md, followed word for word by somebody who has the wheel installed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import mypy_cache
import pytest
from checkers import CHECKERS
from fences import Block, blocks_of
from repository import REPOSITORY

PAGE = (REPOSITORY / "docs" / "typed-projects.md").read_text(encoding="utf-8")
# What makes mypy find metann, and use what it has found out about torch.
SETTINGS = """\
[mypy]
python_executable = venv/bin/python
python_version = 3.10
warn_unreachable = true
"""
NOT_A_FILE = Block("", "", "")


@pytest.fixture
def project(users_folder: Path, tmp_path: Path) -> Path:
    """An empty folder, with the environment of a user in reach."""
    (tmp_path / "venv").symlink_to(users_folder / "venv")
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    mypy_cache.copy_into(tmp_path)
    return tmp_path


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the page with the Python that has metann."""
    program, *arguments = shlex.split(command)
    python = str(folder / "venv" / "bin" / "python")
    started = {
        "metann-generate": [python, "-m", "metann.codegen.cli"],
        "mypy": [sys.executable, "-m", "mypy"],
        "python": [python],
    }[program]
    hidden = {"PYTHONPATH", "MYPYPATH", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [*started, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def follow(block: Block, following: Block, folder: Path) -> None:
    """Do what one block of the page says, and compare with what stands below it."""
    file = folder / block.note
    if block.note.endswith(".py") and file.exists():
        assert block.text in file.read_text(encoding="utf-8")
    elif block.note.endswith(".py"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.text, encoding="utf-8")
    elif block.language == "sh" and not block.text.startswith("pip install"):
        done = run(block.text, folder)
        expected = following.text if following.note == "prints" else None
        assert expected is not None or done.returncode == 0, done.stdout + done.stderr
        assert expected is None or (done.stdout, done.stderr) == (expected, "")


def test_every_file_and_command_of_the_page_does_what_it_says(project: Path) -> None:
    blocks = blocks_of(PAGE)

    for block, following in zip(blocks, [*blocks[1:], NOT_A_FILE], strict=True):
        follow(block, following, project)

    assert {path.name for path in (project / "shop").glob("*.py")} >= {"flat_nets.py", "wrong.py"}


def test_the_other_checkers_find_the_same_lines(project: Path) -> None:
    for block in blocks_of(PAGE):
        if block.note.endswith(".py") or block.text.startswith("metann-generate"):
            follow(block, NOT_A_FILE, project)
    (project / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    (project / "pyrefly.toml").write_text('python-interpreter-path = "venv/bin/python"')

    pyright = CHECKERS["pyright"]
    pyrefly = CHECKERS["pyrefly"]
    found = [
        *pyright.read(pyright.run(project, *pyright.arguments, "shop").stdout),
        *pyrefly.read(pyrefly.run(project, *pyrefly.arguments, "shop").stdout),
    ]

    lines = {(Path(one.file).name, one.line) for one in found if one.severity == "error"}
    assert lines == {("wrong.py", line) for line in (9, 10, 11, 12)}

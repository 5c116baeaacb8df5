""".pre-commit-config.yaml: hooks that run checks of `make check`, with the environment's tools."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from repository import REPOSITORY

CONFIG = REPOSITORY / ".pre-commit-config.yaml"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/check.py as a module."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    import check

    return check


@pytest.fixture
def hooks() -> dict[str, dict[str, Any]]:
    """The hooks by their ids."""
    (repository,) = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    return {hook["id"]: hook for hook in repository["hooks"]}


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_pre_commit_accepts_the_file() -> None:
    done = run(sys.executable, "-m", "pre_commit", "validate-config", str(CONFIG), cwd=REPOSITORY)

    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_a_hook_for_every_check_but_the_tests(
    check: ModuleType, hooks: dict[str, dict[str, Any]]
) -> None:
    assert hooks.keys() == {*check.NAMES} - {"tests"}


def test_a_hook_runs_the_check_of_its_name_with_the_tools_of_the_environment(
    hooks: dict[str, dict[str, Any]],
) -> None:
    for name, hook in hooks.items():
        assert hook["entry"] == f"python tools/check.py {name}"
        assert hook["language"] == "system"
        # A check looks at all files: by halves it would pass over what a change breaks elsewhere.
        assert hook["pass_filenames"] is False


def test_what_the_generator_reads_or_writes_sets_off_its_hook(
    hooks: dict[str, dict[str, Any]],
) -> None:
    files = re.compile(hooks["generated"]["files"])
    folders = ("generated", "templates", "metann/codegen", "tools")
    watched = [path for folder in folders for path in (REPOSITORY / folder).iterdir()]
    names = [path.relative_to(REPOSITORY).as_posix() for path in watched if path.is_file()]

    assert [name for name in names if not files.search(name)] == []
    assert files.search("metann/replaced.py")
    assert not files.search("metann/learner.py")
    assert not files.search("tests/codegen/test_tool.py")


def test_a_commit_is_refused_for_a_file_that_a_check_refuses(tmp_path: Path) -> None:
    """With git and pre-commit themselves, in a repository that has these hooks and a check."""
    (tmp_path / "tools").mkdir()
    program = 'import sys; sys.exit("asked for: " + sys.argv[1])'
    (tmp_path / "tools" / "check.py").write_text(program)
    (tmp_path / CONFIG.name).write_text(CONFIG.read_text(encoding="utf-8"))
    for words in (["init", "--quiet"], ["add", "."]):
        assert run("git", *words, cwd=tmp_path).returncode == 0
    home = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    command = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    done = subprocess.run(command, cwd=tmp_path, env=home, capture_output=True, text=True)

    assert done.returncode == 1, done.stdout + done.stderr
    for name in ("format", "lint", "generated"):
        assert f"asked for: {name}" in done.stdout
    assert "asked for: types" not in done.stdout, "that one runs before a push"

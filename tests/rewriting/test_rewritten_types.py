"""Type checkers find in a rewritten file what they find in the original, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from before_after import rewritten
from loaded import MODELS, NAMES
from repository import REPOSITORY

# What a call gives is known now, where torch says Any; so some things come to light.
BROUGHT_TO_LIGHT = {
    # `zeros_(self.decoder.bias)`: a bias may be None, which torch's annotation hides.
    ("language_model.py", "arg-type"),
    ("language_model.py", "reportArgumentType"),
    # `self.attention(x).split(...)`: torch does not annotate Tensor.split.
    ("transformer.py", "no-untyped-call"),
    ("transformer.py", "reportUnknownMemberType"),
    ("transformer.py", "reportUnknownArgumentType"),
    # A GRU whose forward returns another type than GRU's: its call is typed as GRU's.
    ("subclassing.py", "arg-type"),
    ("subclassing.py", "reportArgumentType"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The model files, and their dependent versions."""
    above = tmp_path_factory.mktemp("rewritten")
    plain, dependent = above / "plain", above / "dependent"
    plain.mkdir()
    dependent.mkdir()
    for name in NAMES:
        text = (MODELS / f"{name}.py").read_text(encoding="utf-8")
        (plain / f"{name}.py").write_text(text, "utf-8")
        (dependent / f"{name}.py").write_text(rewritten(text, module=name).text, "utf-8")
    return plain, dependent


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_type_checker_finds_no_more(folders: tuple[Path, Path], checker: str) -> None:
    check = {"mypy": mypy, "pyright": pyright}[checker]
    plain, dependent = check(*folders)

    rules = {("transformer.py", "operator"), ("transformer.py", "reportCallIssue")}
    assert plain & rules  # It has looked at them.
    assert dependent - plain <= BROUGHT_TO_LIGHT


def test_a_linter_finds_nothing(folders: tuple[Path, Path]) -> None:
    """No import is missing, unused or out of order."""
    _, dependent = folders
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F,I", "."]

    # In their own folder: in this one, metann is no installed package.
    done = subprocess.run(command, capture_output=True, text=True, cwd=dependent, check=False)

    assert done.stdout.strip() == "All checks passed!"


def mypy(*folders: Path) -> Iterator[set[tuple[str, str]]]:
    """The files of each folder and the rules that they break, under --strict."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--output=json"]
    for folder in folders:
        lines = run([*command, "--python-version=3.10", str(folder)]).splitlines()
        found = (json.loads(line) for line in lines)
        yield {(Path(item["file"]).name, item["code"]) for item in found}


def pyright(*folders: Path) -> Iterator[set[tuple[str, str]]]:
    """The same, under strict; it reads torch once, for all of the folders."""
    above = folders[0].parent
    settings = {
        "include": [folder.name for folder in folders],
        "executionEnvironments": [
            {"root": folder.name, "extraPaths": [str(REPOSITORY)]} for folder in folders
        ],
        "extraPaths": [
            str(REPOSITORY)
        ],  # For metann's own files, which are in no such environment.
        "typeCheckingMode": "strict",
    }
    (above / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    found = json.loads(run([*command, "--project", str(above)]))["generalDiagnostics"]
    paths = [(Path(item["file"]), item["rule"]) for item in found]
    for folder in folders:
        yield {(path.name, rule) for path, rule in paths if path.parent == folder}


def run(command: Iterable[str]) -> str:
    done = subprocess.run([*command], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.stdout or not done.returncode, done.stderr
    return done.stdout

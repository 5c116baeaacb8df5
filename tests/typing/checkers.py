"""The type checkers: how each is run, and what it reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that a checker says: where, and by which of its rules."""

    file: str
    line: int
    severity: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class Checker:
    """A type checker: its arguments, and how its output is read.

    It is run in a folder that holds `venv/`, into which metann is installed, the package
    `user_code`, and the settings of all checkers.
    """

    name: str
    arguments: tuple[str, ...]
    read: Callable[[str], Iterator[Finding]]

    def check(self, folder: Path) -> list[Finding]:
        """What it says about the user's files, and about metann itself."""
        done = self.run(folder, *self.arguments)
        # 1 says that there are errors; anything else, that it could not do its work.
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        assert done.stdout, done.stderr
        return [*self.read(done.stdout)]

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it there, with the Python that has metann."""
        return subprocess.run(
            (sys.executable, "-m", self.name, *arguments),
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
        )


def environment(folder: Path) -> dict[str, str]:
    """What a program sees whose first Python is the one of this folder, and not the checkout."""
    hidden = {"PYTHONPATH", "MYPYPATH", "VIRTUAL_ENV"}
    seen = {name: value for name, value in os.environ.items() if name not in hidden}
    return seen | {"PATH": os.pathsep.join((str(folder / "venv" / "bin"), os.environ["PATH"]))}


def from_mypy(output: str) -> Iterator[Finding]:
    """One object a line."""
    for line in output.splitlines():
        found: dict[str, Any] = json.loads(line)
        yield Finding(
            found["file"], found["line"], found["severity"], found["code"] or "", found["message"]
        )


def from_pyright(output: str) -> Iterator[Finding]:
    """One object; lines are counted from zero."""
    for found in json.loads(output)["generalDiagnostics"]:
        line = found["range"]["start"]["line"] + 1
        rule = found.get("rule", "")
        yield Finding(found["file"], line, found["severity"], rule, found["message"])


def from_pyrefly(output: str) -> Iterator[Finding]:
    """One object."""
    for found in json.loads(output)["errors"]:
        yield Finding(
            found["path"], found["line"], found["severity"], found["name"], found["description"]
        )


CHECKERS = {
    "mypy": Checker("mypy", ("--output", "json"), from_mypy),
    "pyright": Checker(
        "pyright", ("--pythonpath", "venv/bin/python", "--outputjson"), from_pyright
    ),
    "pyrefly": Checker(
        "pyrefly",
        ("check", "--output-format", "json", "--min-severity", "info", "--summary=none"),
        from_pyrefly,
    ),
}

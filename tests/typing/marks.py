"""The errors that a file says it has.

    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    linear("x")

Each checker must report the line below by the rules named, and no other line. A checker that is not
named must be silent about it; two rules are divided by a comma; a mark may go on in a second one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MARK = re.compile(r"^\s*# E: (.+)$")
RULES = re.compile(r"(\w+)\[([\w, -]+)\]")


class Error(NamedTuple):
    """A line, and the rule by which a checker must reject it."""

    file: str
    line: int
    rule: str


def marked(file: Path, checker: str) -> Iterator[Error]:
    """The errors that this checker must find in the file.

    Example: "# E: mypy[arg-type]" in line 7 -> Error("wrong_layers.py", 8, "arg-type") for "mypy"
    """
    waiting: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if mark := MARK.match(line):
            waiting += rules_for(checker, mark[1])
        else:
            yield from (Error(file.name, number, rule) for rule in waiting)
            waiting = []


def rules_for(checker: str, mark: str) -> list[str]:
    """Example: "mypy[misc] pyright[reportA, reportB]" -> ["reportA", "reportB"] for "pyright"."""
    assert not RULES.sub("", mark).strip(), f"this mark cannot be read: {mark}"
    return [
        rule for name, rules in RULES.findall(mark) if name == checker for rule in rules.split(", ")
    ]

"""The errors that a file says it has.

    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    linear("x")

Each checker must report the next line by the named rules, and no other line. A checker that is
not named must be silent about it, and two rules are divided by a comma.
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
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if mark := MARK.match(line):
            assert not RULES.sub("", mark[1]).strip(), f"{file.name}:{number}: {line.strip()}"
            for name, rules in RULES.findall(mark[1]):
                if name == checker:
                    yield from (Error(file.name, number + 1, rule) for rule in rules.split(", "))

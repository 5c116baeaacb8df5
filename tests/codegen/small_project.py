"""What the tests of `metann-generate` share: a user's project, and how to read what is written."""

from __future__ import annotations

import re
from pathlib import Path

MODULE = """\
from torch import nn


class {name}(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, x):
        return self.linear(x)
"""


def module(*names: str) -> str:
    """The source of some modules."""
    first, *others = (MODULE.format(name=name) for name in names)
    return "\n\n".join([first, *(other.partition("\n\n\n")[2] for other in others)])


def write_project(folder: Path) -> None:
    """A package of two files; importing it is an error."""
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").write_text("raise RuntimeError\n")
    (folder / "pkg" / "nets.py").write_text(module("Net", "Block"))
    (folder / "pkg" / "heads.py").write_text(module("Head"))


def unsealed(text: str) -> str:
    """A written text without its digest."""
    return re.sub(r"^# Content: sha256:[0-9a-f]{16}\n", "", text, flags=re.MULTILINE)


def contents(folder: Path) -> dict[str, str]:
    """Every file in a folder and below it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text("latin-1") for path in files}

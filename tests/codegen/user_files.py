"""A user's source in, the written file out: what the tests of counterparts of users share."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from metann.codegen.format import format_text
from metann.codegen.library import Library
from metann.codegen.render import render_user_file
from metann.codegen.user_model import UserFilePlan
from metann.codegen.users.locate import Target
from metann.codegen.users.plan import plan_user
from metann.codegen.users.reading import read_user

IMPORTS = """\
from __future__ import annotations
import torch
from collections.abc import Callable
from torch import Tensor, nn
"""


@dataclass(frozen=True)
class Written:
    """A written file: its plan, its text, and the modules that were read for it."""

    plan: UserFilePlan
    text: str
    read: frozenset[str] = frozenset()

    @property
    def notes(self) -> list[tuple[str, str]]:
        return [(note.what, note.why) for note in self.plan.notes]

    def lines(self, name: str = "DependentNet") -> list[str]:
        """The lines of one class, each without its indentation."""
        tree = ast.parse(self.text)
        found = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)
        lines = self.text.splitlines()[found.lineno - 1 : found.end_lineno]
        return [line.strip() for line in lines if line.strip()]

    def head(self, name: str = "DependentNet") -> str:
        """What a class derives from, on one line and without comments."""
        tree = ast.parse(self.text)
        found = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)
        return ast.unparse(ast.ClassDef(found.name, found.bases, found.keywords, [], []))

    def fields(self, name: str = "DependentNet") -> list[str]:
        """The typed attributes of a class, without comments."""
        tree = ast.parse(self.text)
        found = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)
        return [ast.unparse(item) for item in found.body if isinstance(item, ast.AnnAssign)]

    def imports(self) -> list[str]:
        """All imports of the file, each name for itself."""
        nodes = (n for n in ast.walk(ast.parse(self.text)) if isinstance(n, ast.ImportFrom))
        return [f"{node.module}.{ast.unparse(name)}" for node in nodes for name in node.names]

    def signatures(self, name: str = "DependentNet") -> list[str]:
        """The declared methods of a class, without comments."""
        tree = ast.parse(self.text)
        found = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)
        blocks = (item.body for item in found.body if isinstance(item, ast.If))
        return [ast.unparse(method).rpartition(":\n")[0] for body in blocks for method in body]


def in_init(body: str, arguments: str = "") -> str:
    """A module whose constructor has these lines."""
    lines = "\n".join(f"        {line}" for line in dedent(body).strip().splitlines())
    return (
        f"{IMPORTS}class Net(nn.Module):\n    def __init__(self{arguments}) -> None:\n"
        f"        super().__init__()\n{lines}\n"
    )


def write(
    folder: Path,
    library: Library,
    source: str,
    *,
    names: tuple[str, ...] = (),
    **others: str,
) -> Written:
    """Put a package `pkg` into the folder, and write the counterparts of its `nets.py`."""
    texts: Mapping[str, str] = {"__init__": "", "nets": dedent(source), **others}
    (folder / "pkg").mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / "pkg" / f"{name}.py").write_text(dedent(text))
    target = Target("pkg.nets", folder / "pkg" / "nets.py", "pkg.nets", names, folder)
    read = read_user(target, library)
    plan = plan_user(read, target, "metann-generate pkg.nets -o out.py")
    return Written(plan, format_text(render_user_file(plan)), frozenset(read.library.files))


@pytest.fixture
def counterparts(tmp_path, torch_library):
    """What `write` makes, in a folder of its own."""
    return lambda source, **others: write(tmp_path, torch_library, source, **others)

"""The repository as data: its Python files, their syntax trees and their imports.

Everything is found in the text, so a file that cannot be imported is seen as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDERS = (
    "metann",
    "generated",
    "templates",
    "tools",
    "examples",
    "benchmarks",
    "docs",
    "tests",
)


@dataclass(frozen=True)
class Import:
    """One imported module, and when: "at import", "in a function" or "for types"."""

    module: str
    when: str


@cache
def python_files() -> tuple[Path, ...]:
    """Every Python file once: the links in metann/ show two folders a second time."""
    found = (path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))
    links = (REPOSITORY / "metann" / "generated", REPOSITORY / "metann" / "templates")
    return tuple(sorted(p for p in found if not any(p.is_relative_to(link) for link in links)))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def short(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def module_name(path: Path) -> str:
    """Example: generated/linear.py -> "metann.generated.linear"."""
    parts = list(path.relative_to(REPOSITORY).with_suffix("").parts)
    if parts[0] == "generated":
        parts.insert(0, "metann")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def package_files() -> dict[str, Path]:
    """The modules of the package, by name."""
    named = {module_name(path): path for path in python_files()}
    return {name: path for name, path in named.items() if name.split(".")[0] == "metann"}


def imports_of(path: Path) -> set[Import]:
    return set(_imports(tree_of(path), "at import"))


def _imports(node: ast.AST, when: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, when) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            yield from (Import(name, when) for name in _imported_modules(child))
        else:
            yield from _imports(child, _when_inside(child, when))


def _imported_modules(node: ast.ImportFrom) -> Iterator[str]:
    """`from metann import errors` imports metann.errors, not only metann."""
    assert node.module is not None
    for alias in node.names:
        name = f"{node.module}.{alias.name}"
        yield name if name in package_files() else node.module


def _when_inside(node: ast.AST, when: str) -> str:
    if when == "for types" or is_type_checking(node):
        return "for types"
    return "in a function" if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else when


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node

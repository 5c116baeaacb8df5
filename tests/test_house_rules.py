"""The house rules that a syntax tree can show: small pieces, nothing at import, a README each."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from repository import (
    FOLDERS,
    REPOSITORY,
    functions_of,
    is_type_checking,
    python_files,
    short,
    tree_of,
)

MAX_FILE, MAX_FUNCTION = 400, 50

# ── nothing happens at import ────────────────────────────────────────────────────────────────

DEFINITIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)


def happens_at_import(statement: ast.stmt) -> bool:
    """True for a statement that does something, rather than name something."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If):
        return not (is_type_checking(statement) or "__name__" in ast.unparse(statement.test))
    if isinstance(statement, ast.With):  # a class that torch has deprecated warns its subclasses
        quiet = ast.unparse(statement.items[0]) == "warnings.catch_warnings()"
        return not (quiet and isinstance(statement.body[-1], ast.ClassDef))
    return not isinstance(statement, DEFINITIONS)


def test_nothing_happens_at_import() -> None:
    allowed = {
        # The figure goes to a file, which matplotlib must be told before pyplot is imported.
        "examples/quickstart.py",
        # It refreshes the checkout that it stands in, whatever metann is installed.
        "tools/generate.py",
    }
    wrong = [
        f"{short(path)}:{statement.lineno}: {ast.unparse(statement).splitlines()[0]}"
        for path in python_files()
        if short(path) not in allowed
        for statement in tree_of(path).body
        if happens_at_import(statement)
    ]

    assert wrong == []


# ── names ────────────────────────────────────────────────────────────────────────────────────


def test_no_two_folders_of_tests_have_a_helper_of_one_name() -> None:
    """pytest puts the folders on the path, where the first file of a name hides all others."""
    helpers = [
        path.name
        for path in python_files()
        if path.is_relative_to(REPOSITORY / "tests") and path.name != "conftest.py"
        if not (path.parent / "__init__.py").exists()
    ]

    assert {name for name in helpers if helpers.count(name) > 1} == set()


# ── small pieces ─────────────────────────────────────────────────────────────────────────────


def length_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_written_by_hand_is_longer_than_can_be_read() -> None:
    long = {short(path): length_of(path) for path in python_files() if length_of(path) > MAX_FILE}

    assert {name for name in long if not name.startswith("generated/")} == set()


def folder_of_torch_nn() -> Path:
    torch = find_spec("torch")
    assert torch is not None
    assert torch.origin is not None
    return Path(torch.origin).parent / "nn"


def test_a_long_generated_file_is_shorter_than_the_file_of_torch_that_it_mirrors() -> None:
    # One entry for each class of torch: lists, to be searched and not to be read.
    lists = {"generated/__init__.py", "generated/_table.py", "generated/overloads.py"}
    originals = folder_of_torch_nn() / "modules"
    wrong = [
        short(path)
        for path in (REPOSITORY / "generated").glob("*.py")
        if length_of(path) > MAX_FILE and short(path) not in lists
        if length_of(path) > length_of(originals / path.name)
    ]

    assert wrong == []


def code_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    assert function.end_lineno is not None
    length = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        assert docstring.end_lineno is not None
        length -= docstring.end_lineno - docstring.lineno + 1
    return length


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{short(path)}:{function.lineno}: {function.name} has {code_length(function)} lines"
        for path in python_files()
        for function in functions_of(path)
        if code_length(function) > MAX_FUNCTION
    ]

    assert long == []


# ── what is never written ────────────────────────────────────────────────────────────────────


def makes_a_class(node: ast.AST) -> bool:
    """True for `type(name, bases, namespace)` and for types.new_class(...)."""
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    return (called == "type" and len(node.args) == 3) or called.endswith("new_class")


def test_no_class_is_synthesised() -> None:
    wrong = [
        f"{short(path)}:{node.lineno}"
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if makes_a_class(node) and isinstance(node, ast.Call)
    ]

    assert wrong == []


def test_every_ignored_type_error_says_which() -> None:
    bare = re.compile(r"#\s*(type:\s*ignore(?!\[)|pyright:\s*ignore(?!\[)|noqa(?!:))")
    wrong = [
        f"{short(path)}:{number}: {line.strip()}"
        for path in python_files()
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]

    assert wrong == []


def test_no_path_of_somebodys_machine_is_written_down() -> None:
    homes = re.compile(r"(?<![\w.<])/(home|Users|root|tmp|work|opt|mnt|var)/\w")
    written = {".py", ".md", ".toml", ".txt", ".jinja", ".in", ""}
    files = [
        path
        for folder in (*FOLDERS, ".ci")
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and path.suffix in written and "__pycache__" not in path.parts
    ]
    files += [path for path in REPOSITORY.iterdir() if path.is_file() and path.suffix in written]
    wrong = [
        f"{short(path)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if homes.search(line)
    ]

    assert wrong == []


# ── every folder explains itself ─────────────────────────────────────────────────────────────


def folders_with_files() -> list[Path]:
    folders = {path.parent for path in python_files()}
    return sorted(folders | {REPOSITORY / "templates"})


def explains_itself(path: Path) -> bool:
    """True for an __init__.py, and for a generated file, which has the name of torch's file."""
    originals = (folder_of_torch_nn() / part / path.name for part in ("modules", "utils"))
    is_generated = path.parent == REPOSITORY / "generated"
    return path.name == "__init__.py" or (is_generated and any(map(Path.is_file, originals)))


@pytest.mark.parametrize("folder", folders_with_files(), ids=short)
def test_a_folder_has_a_line_for_each_of_its_files(folder: Path) -> None:
    readme = folder / "README.md"
    assert readme.is_file(), f"{short(folder)} has no README.md"

    lines = [
        line for line in readme.read_text().splitlines() if line.lstrip().startswith(("-", "|"))
    ]
    names = {
        path.name
        for path in folder.iterdir()
        if path.suffix in {".py", ".jinja"} and not explains_itself(path)
    }

    assert {name for name in names if not any(f"`{name}`" in line for line in lines)} == set()


@pytest.mark.parametrize("folder", folders_with_files(), ids=short)
def test_a_folders_readme_names_no_file_that_is_gone(folder: Path) -> None:
    readme = folder / "README.md"
    text = readme.read_text() if readme.is_file() else ""
    named = re.findall(r"^\s*[-|]\s*`([\w/.]+\.(?:py|jinja))`", text, flags=re.MULTILINE)

    assert [name for name in named if not (folder / name).exists()] == []

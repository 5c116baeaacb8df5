"""Before and after, as libcst's own tests of codemods have it: two texts that say it all."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from functools import cache
from textwrap import dedent

from metann.codegen.library import Library, find_torch, read_torch
from metann.codegen.read import read_file
from metann.codegen.rewriting import Rewritten, rewrite


def assert_rewrites(
    before: str, after: str, others: Mapping[str, str] | None = None, **options: bool
) -> None:
    """The file pkg.nets with the text `before` becomes `after`, and that stays as it is."""
    before, after = plain(before), plain(after)

    found = rewritten(before, others, **options).text
    assert found == after, difference(found, after)
    again = rewritten(after, others, **options).text
    assert again == after, f"rewritten twice:\n{difference(again, after)}"


def difference(found: str, expected: str) -> str:
    """What is wrong with a text."""
    lines = unified_diff(
        expected.splitlines(), found.splitlines(), "expected", "found", lineterm=""
    )
    return "\n".join(lines)


def assert_stays(text: str, others: Mapping[str, str] | None = None) -> None:
    """Nothing in the file pkg.nets with this text is changed."""
    assert_rewrites(text, text, others)


def notes_of(text: str, others: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """What the user is told about the file pkg.nets with this text."""
    return [(note.what, note.why) for note in rewritten(plain(text), others).notes]


def rewritten(
    text: str,
    others: Mapping[str, str] | None = None,
    module: str = "pkg.nets",
    *,
    keep_relative_imports: bool = True,
    is_package: bool = False,
) -> Rewritten:
    """The text of a module, rewritten; `others` are texts of modules that it imports from."""
    file = read_file(text, module, is_package=is_package)
    files = {name: read_file(plain(other), name) for name, other in (others or {}).items()}
    torch = installed_torch()
    library = Library(torch.version, {**torch.files, **files, module: file})
    return rewrite(text, file, library, keep_relative_imports=keep_relative_imports)


@cache
def installed_torch() -> Library:
    """The installed torch, read once."""
    return read_torch(find_torch())


def plain(text: str) -> str:
    """A text in three quotes without its indentation, as `CodemodTest.make_fixture_data`."""
    lines = dedent(text).strip("\n")
    return f"{lines}\n" if lines else ""

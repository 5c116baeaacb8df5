"""Takes statements out of a file and puts new imports in, at the place where a person would."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import libcst as cst
import libcst.matchers as m

from metann.codegen.imports import import_lines
from metann.codegen.model import ImportLine, ImportPlan

_LONGEST = 88
_IMPORT = m.SimpleStatementLine(body=[m.OneOf(m.Import(), m.ImportFrom()), m.ZeroOrMore()])
_FUTURE = m.SimpleStatementLine(body=[m.ImportFrom(module=m.Name("__future__")), m.ZeroOrMore()])
_DOCSTRING = m.SimpleStatementLine(body=[m.Expr(m.SimpleString() | m.ConcatenatedString())])
# What may stand among the imports at the top of a file.
_AT_TOP = _IMPORT | _DOCSTRING | m.If() | m.Try() | m.SimpleStatementLine(body=[m.Assign()])
_BLANK = cst.EmptyLine(indent=False)
Statement = cst.BaseStatement


@dataclass(frozen=True)
class Line:
    """A statement, and whether it is about to be taken out."""

    statement: Statement
    is_gone: bool = False


def without_gone(lines: Iterable[Line]) -> list[Statement]:
    """The statements of a block less those that are gone; the comments above them stay."""
    kept: list[Statement] = []
    carried: list[cst.EmptyLine] = []
    for line in lines:
        above = _joined(carried, leading_lines(line.statement))
        if not line.is_gone:
            changed = with_leading_lines(line.statement, above) if carried else line.statement
            kept.append(changed)
        carried = above if line.is_gone else []
    return kept


def with_imports(lines: Iterable[Line], plans: Iterable[ImportPlan]) -> list[Line]:
    """The lines of a file with these imports among those it has, each where its name belongs."""
    found = list(lines)
    for item in import_lines(plans):
        found = _with_import(found, item)
    return found


def leading_lines(statement: Statement) -> Sequence[cst.EmptyLine]:
    """The comments and empty lines above a statement."""
    lines: Sequence[cst.EmptyLine] = getattr(statement, "leading_lines", ())
    return lines


def with_leading_lines(statement: Statement, lines: Sequence[cst.EmptyLine]) -> Statement:
    """The statement with other comments and empty lines above it."""
    return statement.with_changes(leading_lines=lines)


def _joined(first: Sequence[cst.EmptyLine], second: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    """Two runs of lines, with the empty lines of only one of them where they meet."""
    if any(line.comment for line in first):
        return [*first, *second]
    return [*second] if len(second) >= len(first) else [*first[: len(first) - len(second)], *second]


def _with_import(lines: list[Line], item: ImportLine) -> list[Line]:
    new: Statement = _statement(item)
    end = next((n for n, line in enumerate(lines) if not _is(line, _AT_TOP)), len(lines))
    places = [n for n in range(end) if _is(lines[n], _IMPORT)]
    later = (n for n in places if not _is(lines[n], _FUTURE) and _order(lines[n]) > _key(item))
    before = next(later, None)
    if before is not None:
        return _insert_before(lines, before, new)
    if places:
        last = places[-1]
        above = [] if _order(lines[last])[0] == 1 else [_BLANK]
        return [*lines[: last + 1], Line(with_leading_lines(new, above)), *lines[last + 1 :]]
    start = 1 if lines and _is(lines[0], _DOCSTRING) else 0
    new = with_leading_lines(new, [_BLANK] * start)
    return [
        *lines[:start],
        Line(new),
        *map(_set_off, lines[start : start + 1]),
        *lines[start + 1 :],
    ]


def _insert_before(lines: list[Line], place: int, new: Statement) -> list[Line]:
    """Insert an import; the empty lines that begin a section come before its first import."""
    after = lines[place]
    above = leading_lines(after.statement)
    blank = next((n for n, line in enumerate(above) if line.comment), len(above))
    if _order(after)[0] == 1:
        new = with_leading_lines(new, above[:blank])
        after = replace(after, statement=with_leading_lines(after.statement, above[blank:]))
    elif place == 0 or not _is(lines[place - 1], _IMPORT) or _order(lines[place - 1])[0] != 1:
        # A section of its own.
        new = with_leading_lines(new, [_BLANK] * (place > 0))
        after = _set_off(after)
    return [*lines[:place], Line(new), after, *lines[place + 1 :]]


def _set_off(line: Line) -> Line:
    """The line with an empty one above it."""
    if leading_lines(line.statement):
        return line
    return replace(line, statement=with_leading_lines(line.statement, [_BLANK]))


def _is(line: Line, shape: m.BaseMatcherNode) -> bool:
    return m.matches(line.statement, shape)


def _statement(line: ImportLine) -> cst.SimpleStatementLine:
    """An import on one line, or on one line a name if it is long."""
    names = ", ".join(name.text for name in line.names)
    text = f"from {line.module} import {names}"
    if len(text) > _LONGEST:
        names = "".join(f"    {name.text},\n" for name in line.names)
        text = f"from {line.module} import (\n{names})"
    found = cst.parse_module(text + "\n").body[0]
    return cst.ensure_type(found, cst.SimpleStatementLine)


def _key(line: ImportLine) -> tuple[int, bool, str]:
    return 1, line.is_from, line.module


def _order(line: Line) -> tuple[int, bool, str]:
    """The section of an import, and its place there, as isort has them."""
    assert isinstance(line.statement, cst.SimpleStatementLine)
    first = line.statement.body[0]
    if isinstance(first, cst.ImportFrom):
        if first.relative:
            return 2, True, ""
        name = cst.Module([]).code_for_node(first.module) if first.module else ""
        return _section(name), True, name
    assert isinstance(first, cst.Import)
    name = first.names[0].evaluated_name
    return _section(name), False, name


def _section(module: str) -> int:
    return 0 if module.partition(".")[0] in sys.stdlib_module_names else 1

"""Takes statements out of a file and puts new imports in, at the place where a person would."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

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


def without(
    before: Sequence[Statement], after: Sequence[Statement], is_gone: Callable[[Statement], bool]
) -> list[Statement]:
    """The statements of a block less those that are gone; the comments above them stay."""
    kept: list[Statement] = []
    carried: list[cst.EmptyLine] = []
    for old, new in zip(before, after, strict=True):
        above = list(leading_lines(new))
        if is_gone(old):
            carried = _joined(carried, above)
        else:
            kept.append(with_leading_lines(new, _joined(carried, above)) if carried else new)
            carried = []
    return kept


def with_imports(module: cst.Module, plans: Iterable[ImportPlan]) -> cst.Module:
    """The module with these imports among those it has, each where its name belongs."""
    body: list[Statement] = [*module.body]
    for line in import_lines(plans):
        body = _with_import(body, line)
    return module.with_changes(body=body)


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


def _with_import(body: list[Statement], line: ImportLine) -> list[Statement]:
    new: Statement = _statement(line)
    end = next((n for n, item in enumerate(body) if not m.matches(item, _AT_TOP)), len(body))
    places = [n for n in range(end) if m.matches(body[n], _IMPORT)]
    before = [n for n in places if not m.matches(body[n], _FUTURE) and _order(body[n]) > _key(line)]
    if before:
        return _insert_before(body, before[0], new)
    if places:
        last = places[-1]
        starts_section = _order(body[last])[0] != 1
        above = [_BLANK] if starts_section else []
        return [*body[: last + 1], with_leading_lines(new, above), *body[last + 1 :]]
    start = 1 if body and m.matches(body[0], _DOCSTRING) else 0
    rest = body[start:]
    if rest and not leading_lines(rest[0]):
        rest[0] = with_leading_lines(rest[0], [_BLANK])
    return [*body[:start], with_leading_lines(new, [_BLANK] * bool(start)), *rest]


def _insert_before(body: list[Statement], place: int, new: Statement) -> list[Statement]:
    """Insert an import; the empty lines that begin a section come before its first import."""
    after = body[place]
    above = leading_lines(after)
    blank = next((n for n, line in enumerate(above) if line.comment), len(above))
    if _order(after)[0] == 1:
        new = with_leading_lines(new, above[:blank])
        return [*body[:place], new, with_leading_lines(after, above[blank:]), *body[place + 1 :]]
    is_first = place == 0 or not m.matches(body[place - 1], _IMPORT)
    starts_section = is_first or _order(body[place - 1])[0] != 1
    new = with_leading_lines(new, [_BLANK] * (starts_section and place > 0))
    after = after if above else with_leading_lines(after, [_BLANK])
    return [*body[:place], new, after, *body[place + 1 :]]


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


def _order(statement: Statement) -> tuple[int, bool, str]:
    """The section of an import, and its place there, as isort has them."""
    assert isinstance(statement, cst.SimpleStatementLine)
    first = statement.body[0]
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

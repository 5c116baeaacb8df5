"""The statements of a function, with those in its blocks; expressions are not gone through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst


@dataclass(frozen=True)
class Step:
    """A statement of a function; `is_sure` if it runs whenever the function does."""

    node: cst.CSTNode
    is_sure: bool


def steps_of(function: cst.FunctionDef, *, into_functions: bool = False) -> Iterator[Step]:
    """The statements of a function, those of functions in it if asked for, never of classes.

    Example: `x = 1` / `if a: y = 2` -> `x = 1` (sure), the `if`, `y = 2` (not sure)
    """
    yield from _steps(function.body.body, True, into_functions)


def _steps(body: Sequence[cst.CSTNode], is_sure: bool, into_functions: bool) -> Iterator[Step]:
    for line in body:
        if isinstance(line, cst.SimpleStatementLine):
            yield from (Step(node, is_sure) for node in line.body)
            continue
        yield Step(line, is_sure)
        stays_sure = is_sure and isinstance(line, cst.With)
        for block in _blocks(line, into_functions):
            yield from _steps(block.body, stays_sure, into_functions)


def _blocks(line: cst.CSTNode, into_functions: bool) -> Iterator[cst.BaseSuite]:
    """The blocks of a compound statement."""
    if isinstance(line, cst.FunctionDef):
        if into_functions:
            yield line.body
    elif isinstance(line, cst.With):
        yield line.body
    elif isinstance(line, cst.If | cst.For | cst.While):
        yield line.body
        if isinstance(line.orelse, cst.If):
            yield from _blocks(line.orelse, into_functions)
        elif line.orelse is not None:
            yield line.orelse.body
    elif isinstance(line, cst.Try | cst.TryStar):
        yield line.body
        yield from (part.body for part in line.handlers)
        yield from (part.body for part in (line.orelse, line.finalbody) if part is not None)
    elif isinstance(line, cst.Match):
        yield from (case.body for case in line.cases)

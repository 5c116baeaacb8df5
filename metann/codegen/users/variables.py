"""The local variables of a user's function, and what it returns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

import libcst as cst
import libcst.matchers as m

from metann.codegen.users.blocks import steps_of
from metann.codegen.users.members import parts_of, targets_of


@cache
def read_locals(function: cst.FunctionDef) -> Mapping[str, tuple[cst.BaseExpression | None, ...]]:
    """The values of the local variables of a function; None for what cannot be seen.

    Example: `block = Block` / `for block in blocks: ...` -> {"block": (Block, None)}
    """
    found: dict[str, list[cst.BaseExpression | None]] = defaultdict(list)
    for step in steps_of(function):
        for target, value in targets_of(step.node):
            for name, part in _names(target, value):
                found[name].append(part)
        for name in _defined(step.node):
            found[name].append(None)
    return {name: tuple(values) for name, values in found.items()}


@cache
def read_returned(function: cst.FunctionDef) -> tuple[cst.BaseExpression | None, ...]:
    """The values that a function may return; none for a generator or a coroutine."""
    is_generator = bool(m.findall(function.body, m.Yield()))
    if function.asynchronous is not None or is_generator:
        return ()
    nodes = (step.node for step in steps_of(function))
    return tuple(node.value for node in nodes if isinstance(node, cst.Return))


def _names(
    target: cst.BaseExpression, value: cst.BaseExpression | None
) -> Iterator[tuple[str, cst.BaseExpression | None]]:
    if isinstance(target, cst.Name):
        yield target.value, value
    elif isinstance(target, cst.Tuple | cst.List):
        for element, part in zip(target.elements, parts_of(target, value), strict=True):
            yield from _names(element.value, part)


def _defined(node: cst.CSTNode) -> Iterator[str]:
    """The names that a statement gives in another way than by an assignment."""
    if isinstance(node, cst.FunctionDef | cst.ClassDef):
        yield node.name.value
    elif isinstance(node, cst.If | cst.While):
        for found in m.findall(node.test, m.NamedExpr(target=m.Name())):
            yield cst.ensure_type(cst.ensure_type(found, cst.NamedExpr).target, cst.Name).value
    elif isinstance(node, cst.Import | cst.ImportFrom) and not isinstance(
        node.names, cst.ImportStar
    ):
        for alias in node.names:
            yield alias.evaluated_alias or alias.evaluated_name.partition(".")[0]

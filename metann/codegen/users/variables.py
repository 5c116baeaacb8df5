"""The variables of a user's function and class, and what a function takes and returns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

import libcst as cst
import libcst.matchers as m

from metann.codegen.syntax import text_of
from metann.codegen.users.blocks import steps_of
from metann.codegen.users.members import parts_of, targets_of
from metann.codegen.users.outline import FOR_TYPES, statements_under

Held = cst.FunctionDef | cst.ClassDef | cst.Annotation | cst.BaseExpression


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


def arguments_of(function: cst.FunctionDef) -> dict[str, cst.Param]:
    """The arguments of a function by name, without `*` and `**`."""
    parameters = function.params
    all_of_them = (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params)
    return {parameter.name.value: parameter for parameter in all_of_them}


def is_static(decorator: cst.Decorator) -> bool:
    """Whether it is `@staticmethod`."""
    return text_of(decorator.decorator) == "staticmethod"


def held_in(node: cst.ClassDef, name: str) -> Held | None:
    """What the body of a class gives a name: a method, a class, an annotation, or a value.

    `...` if it gives several values. Example: `act: type[nn.Module] = nn.ReLU` -> the annotation
    """
    found: list[Held] = []
    for statement in statements_under(node.body.body):
        item = statement.node
        if isinstance(item, cst.FunctionDef | cst.ClassDef) and item.name.value == name:
            found.append(item)
        elif isinstance(item, cst.AnnAssign) and text_of(item.target) == name:
            found.append(item.annotation)
        elif isinstance(item, cst.Assign) and statement.under != FOR_TYPES:
            found += [item.value for target in item.targets if text_of(target.target) == name]
    if not found or isinstance(found[-1], cst.FunctionDef):
        return found[-1] if found else None
    return found[0] if len(found) == 1 else cst.Ellipsis()


def parsed(text: str) -> cst.BaseExpression | None:
    """The expression in a string; None if it holds none. Example: "b c" -> None."""
    try:
        return cst.parse_expression(text)
    except cst.ParserSyntaxError:
        return None

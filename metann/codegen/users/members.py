"""What the body of a user's class gives its attributes: all methods are looked at, none is run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import libcst as cst

from metann.codegen.syntax import code_of, text_of
from metann.codegen.users.blocks import steps_of
from metann.codegen.users.outline import FOR_TYPES, statements_under

How = Literal["set", "parameter", "module", "buffer"]
# Methods that give an attribute by its name, and what the attribute is then.
_REGISTER: Mapping[str, How] = {
    "register_parameter": "parameter",
    "register_module": "module",
    "add_module": "module",
    "register_buffer": "buffer",
    "__setattr__": "set",
}
_VALUES = ("param", "module", "tensor", "value")


@dataclass(frozen=True)
class Given:
    """One value that an attribute gets; None if the source does not show it.

    `is_sure`: it gets it whenever the method runs.
    """

    value: cst.BaseExpression | None
    function: cst.FunctionDef
    how: How = "set"
    is_sure: bool = False


@dataclass(frozen=True)
class Members:
    """The members of one class, before inheritance.

    Attributes:
        given: the values of the attributes of `self`, in the order of the file.
        annotations: those in the body of the class and of `self.x: T`.
        held: the names that the class itself holds: methods, properties, values, `__slots__`.
        functions: its methods; the last definition of each.
        unnamed: what gives attributes whose names are known only at run time, as text.
    """

    given: Mapping[str, tuple[Given, ...]]
    annotations: Mapping[str, cst.BaseExpression]
    held: frozenset[str]
    functions: Mapping[str, cst.FunctionDef]
    unnamed: tuple[tuple[str, Given], ...]


@cache
def read_members(node: cst.ClassDef) -> Members:
    """Look at the body of a class, and at every assignment to `self` in its methods.

    Example: `self.conv = nn.Conv2d(1, 2, 3)` in any method -> {"conv": (Given(nn.Conv2d(...)),)}
    """
    statements = list(statements_under(node.body.body))
    body = [statement.node for statement in statements]
    methods = [item for item in body if isinstance(item, cst.FunctionDef)]
    collector = _Collector()
    for method in methods:
        collector.look_at(method)
    annotations = {
        item.target.value: item.annotation.annotation
        for item in body
        if isinstance(item, cst.AnnAssign) and isinstance(item.target, cst.Name)
    }
    return Members(
        given={name: tuple(values) for name, values in collector.given.items()},
        annotations={**collector.annotations, **annotations},
        held=frozenset(_held([item.node for item in statements if item.under != FOR_TYPES])),
        functions={item.name.value: item for item in methods},
        unnamed=tuple(collector.unnamed),
    )


def _held(body: list[cst.CSTNode]) -> Iterator[str]:
    for item in body:
        if isinstance(item, cst.FunctionDef | cst.ClassDef):
            yield item.name.value
        elif isinstance(item, cst.AnnAssign) and item.value is not None:
            yield text_of(item.target) or ""
        elif isinstance(item, cst.Assign):
            yield from filter(None, (text_of(target.target) for target in item.targets))
            if any(text_of(target.target) == "__slots__" for target in item.targets):
                yield from _strings(item.value)
        elif isinstance(item, cst.ImportFrom) and not isinstance(item.names, cst.ImportStar):
            yield from (alias.evaluated_alias or alias.evaluated_name for alias in item.names)


def _strings(value: cst.BaseExpression) -> Iterator[str]:
    """Example: `("a", "b")` -> "a", "b"; `"a"` -> "a"."""
    if isinstance(value, cst.Tuple | cst.List | cst.Set):
        for element in value.elements:
            yield from _strings(element.value)
    elif (text := literal(value)) is not None:
        yield text


def literal(node: cst.BaseExpression | None) -> str | None:
    """The string that an expression spells; None for all others."""
    if isinstance(node, cst.SimpleString | cst.ConcatenatedString):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


class _Collector:
    """Gathers what the methods of a class do to `self`."""

    def __init__(self) -> None:
        self.given: dict[str, list[Given]] = defaultdict(list)
        self.annotations: dict[str, cst.BaseExpression] = {}
        self.unnamed: list[tuple[str, Given]] = []

    def look_at(self, method: cst.FunctionDef) -> None:
        """Gather from one method."""
        first = next(iter((*method.params.posonly_params, *method.params.params)), None)
        decorators = {text_of(item.decorator) for item in method.decorators}
        if first is None or decorators & {"staticmethod", "classmethod"}:
            return
        self._method, self._self = method, first.name.value
        for step in steps_of(method, into_functions=True):
            for target, value in targets_of(step.node):
                self._bind(target, value, step.is_sure)
            if isinstance(step.node, cst.AnnAssign) and (name := self._attribute(step.node.target)):
                self.annotations.setdefault(name, step.node.annotation.annotation)
            elif isinstance(step.node, cst.Expr) and isinstance(step.node.value, cst.Call):
                self._call(step.node.value, step.is_sure)

    def _call(self, call: cst.Call, is_sure: bool) -> None:
        """Note what is given by name. Example: `self.add_module("fc", nn.Linear(2, 3))`."""
        found = self._registered(call)
        if found is None:
            return
        how, arguments = found
        values = {item.keyword.value: item.value for item in arguments if item.keyword is not None}
        places = [item.value for item in arguments if item.keyword is None and not item.star]
        name = places[0] if places else values.get("name")
        named = next((values[key] for key in _VALUES if key in values), None)
        value = places[1] if len(places) > 1 else named
        given, known = Given(value, self._method, how, is_sure), literal(name)
        if known is not None:
            self.given[known].append(given)
        elif name is not None:
            self.unnamed.append((code_of(call), given))

    def _registered(self, call: cst.Call) -> tuple[How, list[cst.Arg]] | None:
        """What a call gives to `self`, and the arguments that say the name and the value."""
        arguments = list(call.args)
        on_self = bool(arguments) and text_of(arguments[0].value) == self._self
        if text_of(call.func) in ("setattr", "object.__setattr__"):
            return ("set", arguments[1:]) if on_self else None
        if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in _REGISTER:
            return None
        receiver = call.func.value
        is_super = isinstance(receiver, cst.Call) and text_of(receiver.func) == "super"
        if is_super or text_of(receiver) == self._self:
            return _REGISTER[call.func.attr.value], arguments
        return None

    def _bind(
        self, target: cst.BaseExpression, value: cst.BaseExpression | None, is_sure: bool
    ) -> None:
        """Note each attribute in a target, with its part of the value if that can be seen."""
        name = self._attribute(target)
        if name is not None:
            self.given[name].append(Given(value, self._method, is_sure=is_sure))
        elif isinstance(target, cst.Tuple | cst.List):
            for element, part in zip(target.elements, parts_of(target, value), strict=True):
                self._bind(element.value, part, is_sure)

    def _attribute(self, target: cst.BaseExpression) -> str | None:
        on_self = isinstance(target, cst.Attribute) and text_of(target.value) == self._self
        return target.attr.value if on_self and isinstance(target, cst.Attribute) else None


def targets_of(
    node: cst.CSTNode,
) -> Iterator[tuple[cst.BaseExpression, cst.BaseExpression | None]]:
    """What a statement gives values to, each with the value if that can be seen.

    Example: `a = b = f()` -> (a, f()), (b, f()); `for x in xs:` -> (x, None)
    """
    if isinstance(node, cst.Assign):
        yield from ((target.target, node.value) for target in node.targets)
    elif isinstance(node, cst.AnnAssign) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, cst.AugAssign | cst.For):
        yield node.target, None
    elif isinstance(node, cst.With):
        yield from ((item.asname.name, None) for item in node.items if item.asname is not None)


def parts_of(
    target: cst.Tuple | cst.List, value: cst.BaseExpression | None
) -> list[cst.BaseExpression | None]:
    """The values of the parts of a tuple. Example: `a, b = 1, 2` -> 1, 2."""
    elements = value.elements if isinstance(value, cst.Tuple | cst.List) else ()
    starred = [e for e in (*target.elements, *elements) if isinstance(e, cst.StarredElement)]
    if starred or len(elements) != len(target.elements):
        return [None] * len(target.elements)
    return [element.value for element in elements]

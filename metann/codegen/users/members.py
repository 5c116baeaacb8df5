"""What the body of a user's class gives its attributes: all methods are looked at, none is run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import libcst as cst
from typing_extensions import override

from metann.codegen.syntax import code_of, text_of
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


class _Collector(cst.CSTVisitor):
    """Gathers what the methods of a class do to `self`."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, list[Given]] = defaultdict(list)
        self.annotations: dict[str, cst.BaseExpression] = {}
        self.unnamed: list[tuple[str, Given]] = []

    def look_at(self, method: cst.FunctionDef) -> None:
        """Gather from one method."""
        first = next(iter((*method.params.posonly_params, *method.params.params)), None)
        decorators = {text_of(item.decorator) for item in method.decorators}
        if first is None or decorators & {"staticmethod", "classmethod"}:
            return
        self.method, self.self_name, self.depth = method, first.name.value, 0
        method.body.visit(self)

    @override
    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> None:
        self.depth += 1

    @override
    def leave_IndentedBlock(self, original_node: cst.IndentedBlock) -> None:
        self.depth -= 1

    @override
    def visit_ClassDef(self, node: cst.ClassDef) -> bool:
        """Another class has another `self`."""
        return False

    @override
    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            self._bind(target.target, node.value)

    @override
    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        name = self._attribute(node.target)
        if name is not None:
            self.annotations.setdefault(name, node.annotation.annotation)
        if node.value is not None:
            self._bind(node.target, node.value)

    @override
    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self._bind(node.target, None)

    @override
    def visit_For(self, node: cst.For) -> None:
        self._bind(node.target, None)

    @override
    def visit_AsName(self, node: cst.AsName) -> None:
        self._bind(node.name, None)

    @override
    def visit_Call(self, node: cst.Call) -> None:
        found = self._registered(node)
        if found is None:
            return
        how, arguments = found
        values = {item.keyword.value: item.value for item in arguments if item.keyword is not None}
        places = [item.value for item in arguments if item.keyword is None and not item.star]
        name = places[0] if places else values.get("name")
        named = next((values[key] for key in _VALUES if key in values), None)
        value = places[1] if len(places) > 1 else named
        given, known = Given(value, self.method, how, self.depth == 1), literal(name)
        if known is not None:
            self.given[known].append(given)
        elif name is not None:
            self.unnamed.append((code_of(node), given))

    def _registered(self, node: cst.Call) -> tuple[How, list[cst.Arg]] | None:
        """What a call gives to `self`, and the arguments that say the name and the value."""
        arguments = list(node.args)
        on_self = bool(arguments) and text_of(arguments[0].value) == self.self_name
        if text_of(node.func) in ("setattr", "object.__setattr__"):
            return ("set", arguments[1:]) if on_self else None
        if not isinstance(node.func, cst.Attribute) or node.func.attr.value not in _REGISTER:
            return None
        receiver = node.func.value
        is_super = isinstance(receiver, cst.Call) and text_of(receiver.func) == "super"
        if is_super or text_of(receiver) == self.self_name:
            return _REGISTER[node.func.attr.value], arguments
        return None

    def _bind(self, target: cst.BaseExpression, value: cst.BaseExpression | None) -> None:
        """Note each attribute in a target, with its part of the value if that can be seen."""
        name = self._attribute(target)
        if name is not None:
            self.given[name].append(Given(value, self.method, is_sure=self.depth == 1))
        elif isinstance(target, cst.Tuple | cst.List):
            for element, part in zip(target.elements, _parts(target, value), strict=True):
                self._bind(element.value, part)

    def _attribute(self, target: cst.BaseExpression) -> str | None:
        on_self = isinstance(target, cst.Attribute) and text_of(target.value) == self.self_name
        return target.attr.value if on_self and isinstance(target, cst.Attribute) else None


def _parts(
    target: cst.Tuple | cst.List, value: cst.BaseExpression | None
) -> list[cst.BaseExpression | None]:
    """The values of the parts of a tuple. Example: `a, b = 1, 2` -> 1, 2."""
    elements = value.elements if isinstance(value, cst.Tuple | cst.List) else ()
    starred = [e for e in (*target.elements, *elements) if isinstance(e, cst.StarredElement)]
    if starred or len(elements) != len(target.elements):
        return [None] * len(target.elements)
    return [element.value for element in elements]


@cache
def read_locals(function: cst.FunctionDef) -> Mapping[str, tuple[cst.BaseExpression | None, ...]]:
    """The values of the local variables of a function; None for what cannot be seen.

    Example: `block = Block` / `for block in blocks: ...` -> {"block": (Block, None)}
    """
    collector = _Locals()
    function.body.visit(collector)
    return {name: tuple(values) for name, values in collector.found.items()}


@cache
def read_returned(function: cst.FunctionDef) -> tuple[cst.BaseExpression | None, ...]:
    """The values that a function may return; none for a generator or a coroutine."""
    collector = _Locals()
    function.body.visit(collector)
    is_plain = function.asynchronous is None and not collector.yields
    return tuple(collector.returned) if is_plain else ()


class _Locals(cst.CSTVisitor):
    """Gathers what a function gives its variables, and what it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[cst.BaseExpression | None]] = defaultdict(list)
        self.returned: list[cst.BaseExpression | None] = []
        self.yields = False

    @override
    def visit_ClassDef(self, node: cst.ClassDef) -> bool:
        self.found[node.name.value].append(None)
        return False

    @override
    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        self.found[node.name.value].append(None)
        return False

    @override
    def visit_Lambda(self, node: cst.Lambda) -> bool:
        return False

    @override
    def visit_Return(self, node: cst.Return) -> None:
        self.returned.append(node.value)

    @override
    def visit_Yield(self, node: cst.Yield) -> None:
        self.yields = True

    @override
    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            self._bind(target.target, node.value)

    @override
    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, node.value)

    @override
    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self._bind(node.target, None)

    @override
    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._bind(node.target, node.value)

    @override
    def visit_For(self, node: cst.For) -> None:
        self._bind(node.target, None)

    @override
    def visit_CompFor(self, node: cst.CompFor) -> None:
        self._bind(node.target, None)

    @override
    def visit_AsName(self, node: cst.AsName) -> None:
        self._bind(node.name, None)

    @override
    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        if not isinstance(node.names, cst.ImportStar):
            for alias in node.names:
                self.found[alias.evaluated_alias or alias.evaluated_name].append(None)
        return False

    @override
    def visit_Import(self, node: cst.Import) -> bool:
        for alias in node.names:
            name = alias.evaluated_alias or alias.evaluated_name.split(".")[0]
            self.found[name].append(None)
        return False

    def _bind(self, target: cst.BaseExpression, value: cst.BaseExpression | None) -> None:
        if isinstance(target, cst.Name):
            self.found[target.value].append(value)
        elif isinstance(target, cst.Tuple | cst.List):
            for element, part in zip(target.elements, _parts(target, value), strict=True):
                self._bind(element.value, part)

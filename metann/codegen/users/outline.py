"""The text of a user's file -> `UserFile`: its classes wherever they stand, and its functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst

from metann.codegen.read import (
    is_deprecated,
    read_aliases,
    read_exported,
    read_functions,
    read_imports,
    read_stars,
    without_arguments,
)
from metann.codegen.source import SourceClass, SourceFile
from metann.codegen.syntax import code_of, text_of

FOR_TYPES = "TYPE_CHECKING"
_TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING")


@dataclass(frozen=True)
class Statement:
    """A statement, and what decides whether it runs. Example: under "if HAS_APEX"."""

    node: cst.CSTNode
    under: str = ""


@dataclass(frozen=True)
class Definition:
    """One definition of a class; a file may have several of one name, in branches of an `if`."""

    source: SourceClass
    node: cst.ClassDef
    under: str = ""


@dataclass(frozen=True)
class UserFile(SourceFile):
    """A user's file.

    Attributes:
        definitions: of each class, by its dotted name. Example: "Outer.Inner".
        functions: those at the top level.
        values: what its variables are given, if each is given one value only.
        branches: names that mean different things in different branches.
        modules: what is imported as `import a.b`, which leaves the name `a`.
        inside: the classes that stand in functions, each with the name of its function.
        local: these classes.
        deleted: the names that the file takes back.
    """

    definitions: Mapping[str, tuple[Definition, ...]] = field(
        default_factory=dict[str, tuple[Definition, ...]]
    )
    functions: Mapping[str, cst.FunctionDef] = field(default_factory=dict[str, cst.FunctionDef])
    values: Mapping[str, cst.BaseExpression] = field(default_factory=dict[str, cst.BaseExpression])
    branches: frozenset[str] = frozenset()
    modules: tuple[str, ...] = ()
    inside: tuple[tuple[str, str], ...] = ()
    local: tuple[cst.ClassDef, ...] = ()
    deleted: frozenset[str] = frozenset()

    def is_class(self, name: str) -> bool:
        """Whether a name is a class and nothing else, once the file has run."""
        definitions = self.definitions[name]
        certain = any(not item.under for item in definitions)
        return certain and name not in self.branches


def read_outline(text: str, module: str, *, is_package: bool = False) -> UserFile:
    """Read one file of a user.

    Example: `if HAS_CUDA:` / `class Net(nn.Module)` -> a definition of "Net" under "if HAS_CUDA"
    """
    statements = list(statements_under(cst.parse_module(text).body))
    nodes = [statement.node for statement in statements]
    package = module if is_package else module.rpartition(".")[0]
    definitions = _definitions(statements, module)
    values = _values(nodes)
    functions = {n.name.value: n for n in nodes if isinstance(n, cst.FunctionDef)}
    imports = list(read_imports(nodes, package))
    bound = Counter([*dict.fromkeys(imports), *((name, "") for name in (*definitions, *values))])
    names = Counter(name for name, _ in bound)
    inside = list(_inside(nodes))
    return UserFile(
        module=module,
        imports=dict(reversed(imports)),
        stars=tuple(read_stars(nodes, package)),
        aliases={k: v for k, v in read_aliases(nodes) if k in values and k not in definitions},
        classes={name: found[0].source for name, found in definitions.items()},
        is_package=is_package,
        exported=tuple(read_exported(nodes)),
        assigned=frozenset(values) | frozenset(functions),
        definitions=definitions,
        functions=functions,
        values={name: value for name, value in values.items() if value is not None},
        branches=frozenset(name for name, count in names.items() if count > 1),
        modules=tuple(_modules(nodes)),
        inside=tuple((node.name.value, function) for node, function in inside),
        local=tuple(node for node, _ in inside),
        deleted=frozenset(_deleted(nodes)),
    )


def statements_under(body: Sequence[cst.CSTNode], under: str = "") -> Iterator[Statement]:
    """The statements of a block and of the blocks in it, but not those of classes and functions.

    What stands under `if TYPE_CHECKING:` is what type checkers see; its `else` is left out.
    """
    for line in body:
        if isinstance(line, cst.SimpleStatementLine):
            yield from (Statement(node, under) for node in line.body)
        elif isinstance(line, cst.If) and text_of(line.test) in _TYPE_CHECKING:
            yield from statements_under(line.body.body, FOR_TYPES)
        else:
            yield Statement(line, under)
            yield from _blocks(line, under)


def _blocks(line: cst.CSTNode, under: str) -> Iterator[Statement]:
    """The statements in the blocks of one compound statement."""
    if isinstance(line, cst.If):
        test = code_of(line.test)
        yield from statements_under(line.body.body, under or f"if {test}")
        if isinstance(line.orelse, cst.Else):
            yield from statements_under(line.orelse.body.body, under or f"else of if {test}")
        elif line.orelse is not None:
            yield from _blocks(line.orelse, under)
    elif isinstance(line, cst.Try | cst.TryStar):
        yield from statements_under(line.body.body, under or "try")
        for handler in line.handlers:
            kind = "" if handler.type is None else f" {code_of(handler.type)}"
            yield from statements_under(handler.body.body, under or f"except{kind}")
        for block in (line.orelse, line.finalbody):
            if block is not None:
                yield from statements_under(block.body.body, under or "try")
    elif isinstance(line, cst.With):
        yield from statements_under(line.body.body, under)
    elif isinstance(line, cst.For | cst.While):
        yield from statements_under(line.body.body, under or "a loop")


def _definitions(
    statements: Sequence[Statement], module: str, outer: str = ""
) -> dict[str, tuple[Definition, ...]]:
    """Each class, and those in its body after it."""
    found: dict[str, tuple[Definition, ...]] = {}
    for statement in statements:
        node = statement.node
        if not isinstance(node, cst.ClassDef):
            continue
        name = f"{outer}{node.name.value}"
        definition = Definition(read_head(node, module, name), node, statement.under)
        found[name] = (*found.get(name, ()), definition)
        nested = [
            Statement(item.node, statement.under or item.under)
            for item in statements_under(node.body.body)
        ]
        for inner, definitions in _definitions(nested, module, f"{name}.").items():
            found[inner] = (*found.get(inner, ()), *definitions)
    return found


def read_head(node: cst.ClassDef, module: str, name: str) -> SourceClass:
    """What is needed of a class to find its place among others, and its methods' signatures."""
    body = [statement.node for statement in statements_under(node.body.body)]
    return SourceClass(
        name=name,
        module=module,
        bases=tuple(code_of(without_arguments(base.value)) for base in node.bases if not base.star),
        methods=read_functions(body),
        is_deprecated=any(is_deprecated(decorator) for decorator in node.decorators),
    )


def _values(nodes: Sequence[cst.CSTNode]) -> dict[str, cst.BaseExpression | None]:
    """The variables of a file; None for one that is given several values, or no visible one."""
    found: dict[str, cst.BaseExpression | None] = {}
    for name, value in _assignments(nodes):
        found[name] = None if name in found else value
    return found


def _assignments(nodes: Sequence[cst.CSTNode]) -> Iterator[tuple[str, cst.BaseExpression | None]]:
    for node in nodes:
        if isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name):
            yield node.target.value, node.value
        elif isinstance(node, cst.Assign):
            for target in node.targets:
                if isinstance(target.target, cst.Name):
                    yield target.target.value, node.value
                elif isinstance(target.target, cst.Tuple):
                    names = (text_of(element.value) for element in target.target.elements)
                    yield from ((name, None) for name in names if name)
        elif isinstance(node, cst.TypeAlias):
            yield node.name.value, node.value


def _modules(nodes: Sequence[cst.CSTNode]) -> Iterator[str]:
    """Example: `import torch.nn, numpy as np` -> "torch.nn"."""
    for node in nodes:
        if isinstance(node, cst.Import):
            yield from (item.evaluated_name for item in node.names if not item.asname)


def _deleted(nodes: Sequence[cst.CSTNode]) -> Iterator[str]:
    """Example: `del Helper, other` -> "Helper", "other"."""
    for node in nodes:
        if isinstance(node, cst.Del):
            parts = node.target.elements if isinstance(node.target, cst.Tuple) else [node]
            targets = (part.target if isinstance(part, cst.Del) else part.value for part in parts)
            yield from filter(None, map(text_of, targets))


def _inside(
    nodes: Sequence[cst.CSTNode], path: str = "", function: str = ""
) -> Iterator[tuple[cst.ClassDef, str]]:
    """The classes in functions, and in methods of classes, each with that function's name."""
    for node in nodes:
        if not isinstance(node, cst.ClassDef | cst.FunctionDef):
            continue
        inner = [item.node for item in statements_under(node.body.body)]
        name = f"{path}{node.name.value}"
        if isinstance(node, cst.FunctionDef):
            yield from _inside(inner, f"{name}.", function or name)
        elif function:
            yield node, function
        else:
            yield from _inside(inner, f"{name}.")

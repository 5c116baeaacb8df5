"""Names inside of strings and comments: annotations, `__all__`, type comments."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
from libcst.metadata import Scope
from typing_extensions import override

from metann.codegen.model import Note
from metann.codegen.rewriting.changes import Changes
from metann.codegen.rewriting.names import Names, walk
from metann.codegen.rewriting.renaming import Renaming

_TYPE = "# type:"


def change_strings(changes: Changes, names: Names, renaming: Renaming) -> None:
    """Names of classes follow in annotations, in `__all__` and in type comments, nowhere else."""
    for node in names.strings:
        new = _renamed(_content(node), names, renaming, names.scope(node))
        if new is not None:
            changes.new[node] = f"{node.prefix}{node.quote}{new}{node.quote}"
    for node in exported(names):
        name = renaming.of(names.look_up(_content(node), names.globals))
        if name is not None:
            changes.new[node] = f"{node.prefix}{node.quote}{name}{node.quote}"
    for comment in type_comments(names):
        written = _typed_part(comment)
        new = _renamed(written, names, renaming, names.globals)
        if new is not None:
            changes.new[comment] = comment.value.replace(written, new, 1)
    changes.notes += _left_alone(changes, names, renaming)


def exported(names: Names) -> Iterator[cst.SimpleString]:
    """The strings of `__all__`, however they come there."""
    for name in names.variables:
        if name.value == "__all__":
            statement: cst.CSTNode | None = name
            while statement is not None and not isinstance(statement, cst.SimpleStatementLine):
                statement = names.parent(statement)
            inside = () if statement is None else walk(statement)
            yield from (node for node in inside if isinstance(node, cst.SimpleString))


def type_comments(names: Names) -> Iterator[cst.Comment]:
    """The comments that are annotations. Example: `# type: Net`, but not what is ignored."""
    for node in names.all(cst.Comment):
        if node.value.startswith(_TYPE) and not _typed_part(node).startswith("ignore"):
            yield node


def mentioned(names: Names) -> frozenset[str]:
    """The names that strings and comments read: imports of them stay."""
    found = {_content(node) for node in exported(names)}
    types = [_typed_part(comment) for comment in type_comments(names)]
    for text in (*types, *map(_content, names.strings)):
        for tree in _parsed(text):
            found |= {node.value for node in walk(tree) if isinstance(node, cst.Name)}
    return frozenset(found)


def _content(node: cst.SimpleString) -> str:
    return node.raw_value


def _typed_part(comment: cst.Comment) -> str:
    """Example: "# type: (Net) -> int  # why" -> "(Net) -> int"."""
    return comment.value[len(_TYPE) :].partition("#")[0].strip()


def _parsed(text: str) -> list[cst.BaseExpression]:
    """The types in a text; none if it is no type. Example: "(Net) -> int" -> `(Net)`, `int`."""
    taken, arrow, result = text.rpartition("->")
    try:
        return [cst.parse_expression(part.strip()) for part in (taken, result) if part or arrow]
    except cst.ParserSyntaxError:
        return []


def _renamed(text: str, names: Names, renaming: Renaming, scope: Scope | None) -> str | None:
    """A type with the new names in it; None if there are none."""
    new = text
    for tree in _parsed(text):
        before = cst.Module([]).code_for_node(tree)
        changed = tree.visit(_Renamer(names, renaming, scope))
        assert isinstance(changed, cst.CSTNode)
        new = new.replace(before, cst.Module([]).code_for_node(changed), 1)
    return None if new == text else new


class _Renamer(cst.CSTTransformer):
    """Renames the variables of an expression that stands in a string."""

    def __init__(self, names: Names, renaming: Renaming, scope: Scope | None) -> None:
        super().__init__()
        self._names, self._renaming, self._scope = names, renaming, scope

    @override
    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.Attribute:
        """An attribute is no variable."""
        return updated_node.with_changes(attr=original_node.attr)

    @override
    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        """Neither is a keyword."""
        return updated_node.with_changes(keyword=original_node.keyword)

    @override
    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        """A variable may have a new name."""
        bindings = self._names.look_up(original_node.value, self._scope)
        return updated_node.with_changes(value=self._renaming.of(bindings) or original_node.value)


def _left_alone(changes: Changes, names: Names, renaming: Renaming) -> Iterator[Note]:
    """The strings that are just the old name of a class: what they are for is not known."""
    for node in names.all(cst.SimpleString):
        if node not in changes.new:
            new = renaming.of(names.look_up(_content(node), names.globals))
            if new is not None:
                yield Note(
                    f"line {names.line(node)}: the string {node.value} stays",
                    f"if it is to find the class by its name, that is {new} now",
                )

"""Which classes of a file get another name, and which keep theirs because it cannot be followed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, ClassScope

from metann.codegen.errors import CodegenError
from metann.codegen.model import Note
from metann.codegen.rewriting.classes import Layer
from metann.codegen.rewriting.names import Names


@dataclass(frozen=True)
class Renaming:
    """The new name of each binding that is renamed, and notes on the classes that are not."""

    new: Mapping[BaseAssignment, str] = field(default_factory=dict[BaseAssignment, str])
    notes: tuple[Note, ...] = ()

    def of(self, bindings: Iterable[BaseAssignment]) -> str | None:
        """What a variable is called now that stands for one of these; None if as before."""
        return next((self.new[item] for item in bindings if item in self.new), None)


def plan_renaming(names: Names, layers: Iterable[Layer]) -> Renaming:
    """Give every class a new name whose uses can all be found.

    Raises:
        CodegenError: a new name is taken.
    """
    new: dict[BaseAssignment, str] = {}
    notes: list[Note] = []
    nodes: set[cst.CSTNode] = {layer.node for layer in layers}
    for layer in layers:
        name = layer.node.name.value
        why = _why_kept(names, layer.node, nodes)
        if why:
            notes.append(
                Note(f"line {names.line(layer.node.name)}: class {name} keeps its name", why)
            )
            continue
        _require_free(names, layer.node)
        new.update(dict.fromkeys(_siblings(names, layer.node), dependent_name(name)))
    return Renaming(new, tuple(notes))


def dependent_name(name: str) -> str:
    """Example: Net -> "DependentNet", _Net -> "_DependentNet"."""
    bare = name.lstrip("_")
    return f"{name[: len(name) - len(bare)]}Dependent{bare}"


def _siblings(names: Names, node: cst.ClassDef) -> Iterator[BaseAssignment]:
    """All that binds the name of a class in its scope, the class itself among it."""
    scope = names.scope(node.name)
    return iter(() if scope is None else names.look_up(node.name.value, scope))


def _why_kept(names: Names, node: cst.ClassDef, layers: Set[cst.CSTNode]) -> str:
    if isinstance(names.scope(node.name), ClassScope):
        return "it is an attribute of the class around it, and may be read from anywhere"
    for sibling in _siblings(names, node):
        bound = sibling.node if isinstance(sibling, Assignment) else None
        if bound in layers or isinstance(bound, cst.Name):
            continue
        where = "" if bound is None else f" (line {names.line(bound)})"
        return f"the name stands for something else, too{where}"
    return ""


def _require_free(names: Names, node: cst.ClassDef) -> None:
    old, new = node.name.value, dependent_name(node.name.value)
    if new in names.bound:
        raise CodegenError(
            f"Asked to make class {old} in line {names.line(node.name)} of {names.file.module} "
            f"dependent, but its new name, {new}, is taken in this file. Rename one of the two."
        )

"""What is changed in a file: which nodes become what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import libcst as cst

from metann.codegen.library import MODULE
from metann.codegen.model import Note
from metann.codegen.rewriting.classes import Classes, Layer
from metann.codegen.rewriting.contexts import stays_torchs
from metann.codegen.rewriting.names import Names, root_of
from metann.codegen.rewriting.renaming import Renaming
from metann.codegen.source import SourceClass

ImportNode = cst.Import | cst.ImportFrom


@dataclass
class Changes:
    """The new names of nodes, the bases added to classes, what is left of imports, and notes."""

    new: dict[cst.CSTNode, str] = field(default_factory=dict[cst.CSTNode, str])
    added: dict[cst.ClassDef, tuple[int, tuple[str, ...]]] = field(
        default_factory=dict[cst.ClassDef, "tuple[int, tuple[str, ...]]"]
    )
    imports: dict[ImportNode, tuple[cst.ImportAlias, ...]] = field(
        default_factory=dict[ImportNode, "tuple[cst.ImportAlias, ...]"]
    )
    absolute: dict[cst.ImportFrom, str] = field(default_factory=dict[cst.ImportFrom, str])
    notes: list[Note] = field(default_factory=list[Note])

    @property
    def dropped(self) -> frozenset[cst.Name]:
        """The variables that stand nowhere any more, because what they began was replaced."""
        roots = (root_of(node) for node in self.new)
        return frozenset(root for root in roots if root is not None)


def change_names(changes: Changes, names: Names, renaming: Renaming) -> None:
    """The uses of each renamed class follow."""
    for name in names.variables:
        new = renaming.of(names.bindings(name))
        if new is not None:
            changes.new[name] = new


def change_bases(changes: Changes, layers: Iterable[Layer], spelled: Callable[[str], str]) -> None:
    """Torch's classes among the bases become counterparts; others get one beside them."""
    for layer in layers:
        for base in layer.bases:
            if base.replaced_by is not None:
                changes.new[base.node] = spelled(base.replaced_by)
        if layer.added:
            changes.added[layer.node] = (layer.last, tuple(map(spelled, layer.added)))


def change_uses(
    changes: Changes, names: Names, classes: Classes, spelled: Callable[[str], str]
) -> None:
    """Torch's layers become counterparts wherever they are used, and not only asked about."""
    for node in _dotted(names):
        source = names.class_of(node)
        if source is None or node in changes.new or _is_base(node, names):
            continue
        if _is_used(source, node, names, classes):
            changes.new[node] = spelled(source.qualified_name)


def _dotted(names: Names) -> Iterable[cst.BaseExpression]:
    """Every dotted name that begins with a variable, each longer one after its beginning."""
    for name in names.variables:
        node: cst.BaseExpression = name
        yield node
        above = names.parent(node)
        while isinstance(above, cst.Attribute) and above.value is node:
            node, above = above, names.parent(above)
            yield node


def _is_used(source: SourceClass, node: cst.BaseExpression, names: Names, classes: Classes) -> bool:
    if source.qualified_name == MODULE:
        above = names.parent(node)
        is_made = isinstance(above, cst.Call) and above.func is node
        return is_made or isinstance(above, cst.ComparisonTarget)
    return source.qualified_name in classes.planner.written and not stays_torchs(node, names)


def _is_base(node: cst.BaseExpression, names: Names) -> bool:
    """Whether it is a base of a class, with or without type arguments."""
    child: cst.CSTNode = node
    above = names.parent(node)
    if isinstance(above, cst.Subscript) and above.value is child:
        child, above = above, names.parent(above)
    holder = None if above is None else names.parent(above)
    return isinstance(above, cst.Arg) and isinstance(holder, cst.ClassDef) and above in holder.bases

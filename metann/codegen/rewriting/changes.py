"""What is changed in a file: which nodes become what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field

import libcst as cst

from metann.codegen.library import MODULE
from metann.codegen.model import Note
from metann.codegen.rewriting.classes import Layer
from metann.codegen.rewriting.contexts import is_base, stays_torchs
from metann.codegen.rewriting.names import Names, root_of
from metann.codegen.rewriting.renaming import Renaming

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
    statements: tuple[cst.Global | cst.Nonlocal, ...]
    statements = (*names.all(cst.Global), *names.all(cst.Nonlocal))
    for statement in statements:
        for item in statement.names:
            bindings = names.look_up(item.name.value, names.scope(statement))
            new = renaming.of(bindings)
            if new is not None:
                changes.new[item.name] = new


def change_mangled(changes: Changes, names: Names, layers: Iterable[Layer]) -> None:
    """Attributes that Python names after their class keep these names, in state_dict, too.

    Example: `self.__scale = nn.Parameter(...)` in class Net -> `self._Net__scale = ...`
    """
    for layer in layers:
        if layer.node.name not in changes.new:
            continue
        own = layer.node.name.value.lstrip("_")
        assigned = {item.attr.value for item in names.assigned_in(layer.node)}
        if not any(map(_is_mangled, assigned)):
            continue
        for node in names.all(cst.Attribute):
            name = node.attr.value
            is_mine = name in assigned and names.class_around(node) is layer.node
            if is_mine and _is_mangled(name):
                changes.new[node.attr] = f"_{own}{name}"


def _is_mangled(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")


def change_bases(changes: Changes, layers: Iterable[Layer], spelled: Callable[[str], str]) -> None:
    """Torch's classes among the bases become counterparts; others get one beside them."""
    for layer in layers:
        for base in layer.bases:
            if base.replaced_by is not None:
                changes.new[base.node] = spelled(base.replaced_by)
        if layer.added:
            changes.added[layer.node] = (layer.last, tuple(map(spelled, layer.added)))


def change_uses(
    changes: Changes,
    names: Names,
    layers: Set[cst.CSTNode],
    written: Set[str],
    spelled: Callable[[str], str],
) -> None:
    """Torch's layers become counterparts wherever they are used, and not only asked about."""
    for node in dotted_names(names):
        source = names.class_of(node)
        if source is None or node in changes.new or is_base(node, names):
            continue
        if source.qualified_name == MODULE:
            is_used = _is_made(node, names) or _is_called_on(node, names, layers)
        else:
            is_used = source.qualified_name in written and not stays_torchs(node, names)
        if is_used:
            changes.new[node] = spelled(source.qualified_name)


def dotted_names(names: Names) -> Iterator[cst.BaseExpression]:
    """Every dotted name that begins with a variable, each longer one after its beginning."""
    for name in names.variables:
        node: cst.BaseExpression = name
        yield node
        above = names.parent(node)
        while isinstance(above, cst.Attribute) and above.value is node:
            node, above = above, names.parent(above)
            yield node


def _is_made(node: cst.BaseExpression, names: Names) -> bool:
    """Whether a torch.nn.Module is made, or something is asked to be one exactly."""
    above = names.parent(node)
    is_called = isinstance(above, cst.Call) and above.func is node
    return is_called or isinstance(above, cst.ComparisonTarget)


def _is_called_on(node: cst.BaseExpression, names: Names, layers: Set[cst.CSTNode]) -> bool:
    """Whether a class of ours calls its base by name. Example: `nn.Module.__init__(self)`."""
    method = names.parent(node)
    call = None if method is None else names.parent(method)
    is_called = isinstance(method, cst.Attribute) and isinstance(call, cst.Call)
    return is_called and names.class_around(node) in layers

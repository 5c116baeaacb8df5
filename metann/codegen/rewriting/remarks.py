"""What the user has to know: what cannot be followed in a text, and what stays as it is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ImportAssignment

from metann.codegen.facts import SKIPPED
from metann.codegen.library import MODULE, PUBLIC
from metann.codegen.model import Note
from metann.codegen.rewriting.changes import Changes, dotted_names
from metann.codegen.rewriting.classes import Classes, Layer
from metann.codegen.rewriting.contexts import stays_torchs
from metann.codegen.rewriting.names import Names
from metann.codegen.source import SourceClass
from metann.codegen.syntax import text_of

# What a class of the user's hides if it has an attribute of the same name.
METHODS = (
    "clear_params",
    "dependents",
    "named_dependents",
    "register_dependent",
    "stateless",
    "substitute",
    "substitute_from_list",
    "to_dependentmodule",
    "update_shapes",
)
_CLASS = (
    m.Name("__class__")
    | m.Name("cls")
    | m.Attribute(attr=m.Name("__class__"))
    | m.Call(func=m.Name("type"))
)
_LOOKING_UP = ("builtins.globals", "builtins.eval", "builtins.exec", "sys.modules")
# What compiles a module; torch.jit has much more that does not.
_COMPILING = (
    "torch.jit.script",
    "torch.jit.trace",
    "torch.jit.trace_module",
    "torch.jit.ScriptModule",
)


def remarks(
    changes: Changes, names: Names, classes: Classes, layers: Iterable[Layer]
) -> Iterator[Note]:
    """Everything worth saying, in the order of the file for each kind."""
    layers = tuple(layers)
    yield from _unknown_bases(names, classes)
    for layer in layers:
        yield from _hidden_methods(names, layer)
    yield from _from_elsewhere(names, classes)
    yield from _dynamic(names)
    yield from _compared(changes, names)
    yield from _scripted(names)
    yield from _registered(names)
    if changes.new:
        yield from _names_of_classes(changes, names)
        yield from _looked_up(names)


def _note(names: Names, node: cst.CSTNode, what: str, why: str) -> Note:
    return Note(f"line {names.line(node)}: {what}", why)


def _unknown_bases(names: Names, classes: Classes) -> Iterator[Note]:
    """Classes that may be modules, but derive from what was not found."""
    for node in classes.definitions():
        if any(base.is_layer or base.is_dependent for base in classes.bases(node)):
            continue
        for base in classes.bases(node):
            why = _why_unknown(base.node, names)
            if why:
                yield _note(names, node.name, f"class {node.name.value} stays as it is", why)


def _why_unknown(node: cst.BaseExpression, names: Names) -> str:
    """Why nobody knows whether a base is a module."""
    qualified = names.qualified(node)
    if qualified is not None:
        is_lost = _is_unknown(qualified, names)
        return f"{qualified} was not found: it may be a module or not" if is_lost else ""
    if isinstance(node, cst.Name) and not names.is_own(node) and names.bindings(node):
        return f"what its base {node.value} is turns out at run time"
    return ""


def _is_unknown(qualified: str, names: Names) -> bool:
    package = qualified.partition(".")[0]
    if package in sys.stdlib_module_names or package in ("builtins", "metann"):
        return False
    if qualified.startswith("typing_extensions."):
        return False
    return names.library.find(qualified) is None


def _hidden_methods(names: Names, layer: Layer) -> Iterator[Note]:
    """Attributes of a class that have the name of a method of DependentModule."""
    attributes: dict[str, cst.CSTNode] = {
        item.name.value: item
        for item in layer.node.body.body
        if isinstance(item, cst.FunctionDef | cst.ClassDef)
    }
    for written in names.assigned_in(layer.node):
        if text_of(written.value) == "self":
            attributes.setdefault(written.attr.value, written)
    for name in METHODS:
        if name in attributes:
            what = f"{layer.node.name.value}.{name} hides DependentModule.{name}"
            why = f"call that as DependentModule.{name}(module, ...) where it is needed"
            yield _note(names, attributes[name], what, why)


def _from_elsewhere(names: Names, classes: Classes) -> Iterator[Note]:
    """Modules of other files, and layers of torch that have no counterpart; each one once."""
    said: set[str] = set()
    for node in dotted_names(names):
        source = names.class_of(node)
        if source is None or source.qualified_name in said:
            continue
        why = "" if stays_torchs(node, names) else _why_left(source, names, classes)
        if why:
            said.add(source.qualified_name)
            yield _note(names, node, f"{source.qualified_name} stays as it is", why)


def _why_left(source: SourceClass, names: Names, classes: Classes) -> str:
    if source.qualified_name in (MODULE, *classes.planner.written):
        return ""
    if source.module.startswith("metann.") or not names.library.is_layer(source):
        return ""
    shown = classes.planner.shown(source)
    if shown.startswith("torch.nn.parallel."):
        shown = "torch.nn.DataParallel"
    if shown in SKIPPED:
        return SKIPPED[shown]
    if source.module.startswith("torch."):
        return "it has no counterpart ahead of time; one is written when a module needs it"
    return "it is of another file; what it makes becomes dependent when a module is given it"


def _dynamic(names: Names) -> Iterator[Note]:
    """Where a layer is looked up by its name: `getattr(nn, name)`."""
    for name in names.variables:
        node: cst.BaseExpression = name
        above = names.parent(node)
        while isinstance(above, cst.Attribute) and names.qualified(above) in PUBLIC:
            node, above = above, names.parent(above)
        if names.qualified(node) not in PUBLIC or not _is_import(name, names):
            continue
        if not isinstance(above, cst.Attribute) or above.attr.value == "__dict__":
            why = "which layer it gives is known at run time; a module it is given to converts it"
            yield _note(names, node, f"{_code(_around(node, names), names)} stays as it is", why)


def _is_import(name: cst.Name, names: Names) -> bool:
    return all(isinstance(item, ImportAssignment) for item in names.bindings(name))


def _around(node: cst.BaseExpression, names: Names) -> cst.CSTNode:
    """The call that a name is an argument of, or the name."""
    above = names.parent(node)
    call = names.parent(above) if isinstance(above, cst.Arg) else None
    return call if isinstance(call, cst.Call) else node


def _compared(changes: Changes, names: Names) -> Iterator[Note]:
    """Comparisons with a class: what other files pass in is torch's own."""
    for node, new in changes.new.items():
        above = names.parent(node)
        while isinstance(above, cst.Element | cst.Tuple | cst.List | cst.Set):
            above = names.parent(above)
        if isinstance(above, cst.Comparison | cst.ComparisonTarget) and not names.is_own(node):
            why = f"{_code(node, names)} itself, as another file may pass it, no longer equals it"
            yield _note(names, node, f"compares with {new}", why)


def _scripted(names: Names) -> Iterator[Note]:
    """Where TorchScript first compiles something."""
    why = "a module that TorchScript has compiled cannot be substituted in"
    found = ((node, names.qualified(node)) for node in dotted_names(names))
    first = next(((node, name) for node, name in found if name in _COMPILING), None)
    if first is not None:
        yield _note(names, first[0], f"{first[1]} stays as it is", why)


def _registered(names: Names) -> Iterator[Note]:
    """Decorators from elsewhere, which may keep a table of names; each one once."""
    said: set[str] = set()
    for node in names.all(cst.Decorator):
        used = node.decorator.func if isinstance(node.decorator, cst.Call) else node.decorator
        qualified = names.qualified(used) or "builtins."
        package = qualified.partition(".")[0]
        if package in (*sys.stdlib_module_names, "builtins", "torch", "metann"):
            continue
        decorated = names.parent(node)
        is_at_top = decorated is not None and isinstance(names.parent(decorated), cst.Module)
        if is_at_top and qualified not in said:
            said.add(qualified)
            why = "if it keeps what it decorates by its name, this file is in the original's way"
            yield _note(names, node, f"the decorator {_code(used, names)} stays as it is", why)


def _names_of_classes(changes: Changes, names: Names) -> Iterator[Note]:
    """Where the name of a class is read. Example: `type(self).__name__`."""
    for node in names.all(cst.Attribute):
        is_class = node.value in changes.new or m.matches(node.value, _CLASS)
        if is_class and node.attr.value in ("__name__", "__qualname__"):
            code = _code(node, names)
            yield _note(names, node, f"{code} stays as it is", "it gives the new name of a class")


def _looked_up(names: Names) -> Iterator[Note]:
    """Where a class may be looked up by its name. Example: `globals()[name]`."""
    for node in dotted_names(names):
        qualified = names.qualified(node)
        if qualified in _LOOKING_UP:
            why = "classes are found there by their new names only"
            yield _note(names, node, f"{_code(node, names)} stays as it is", why)


def _code(node: cst.CSTNode, names: Names) -> str:
    return names.module.code_for_node(node)

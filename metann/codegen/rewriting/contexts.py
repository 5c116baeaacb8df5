"""Where torch's own class stays: wherever its counterpart is one, too."""

from __future__ import annotations

import libcst as cst

from metann.codegen.rewriting.names import Names

# A counterpart is an instance, a subclass and a type of what torch's class is; a plain module,
# as another file may hand it over, is none of the counterpart.
_CHECKS = ("builtins.isinstance", "builtins.issubclass")
_TYPING = ("typing.", "typing_extensions.", "collections.abc.")
_TYPES = ("list", "dict", "tuple", "type", "set", "frozenset")
_ALIASES = ("typing.TypeAlias", "typing_extensions.TypeAlias")
# What an expression may be inside of without being looked at.
_TRANSPARENT = (
    cst.Arg,
    cst.Element,
    cst.StarredElement,
    cst.Tuple,
    cst.List,
    cst.Set,
    cst.Index,
    cst.SubscriptElement,
)


def stays_torchs(node: cst.BaseExpression, names: Names) -> bool:
    """Whether a name of a layer class is asked about, annotated or passed over, but not used.

    Example: `isinstance(m, nn.Linear)`, `def f(m: nn.Linear)`, `super(nn.Linear, self)`
    """
    if _is_target(node, names):
        return True
    child: cst.CSTNode = node
    above = names.parent(child)
    while isinstance(above, _TRANSPARENT):
        child, above = above, names.parent(above)
    if isinstance(above, cst.Call):
        return _stays_in_call(child, above, names)
    if isinstance(above, cst.Subscript):
        return child is not above.value and _is_type(above, names)
    if isinstance(above, cst.BinaryOperation):
        return isinstance(above.operator, cst.BitOr)
    if isinstance(above, cst.Assign | cst.AnnAssign | cst.For | cst.CompFor):
        return _is_checked_only(above, names)
    return isinstance(above, cst.Annotation | cst.MatchClass | cst.TypeAlias | cst.TypeVar)


def _stays_in_call(child: cst.CSTNode, call: cst.Call, names: Names) -> bool:
    """Whether a call only asks about the class that is somewhere in one of its arguments."""
    if child is call.func:
        return False
    called = names.qualified(call.func)
    if called in _CHECKS:
        return child is not call.args[0]
    if called == "builtins.super":
        return True
    return called is not None and called.startswith(_TYPING)


def _is_type(node: cst.Subscript, names: Names) -> bool:
    """Whether `of[...]` is a type. Example: `Callable[..., nn.Linear]`, `Net[nn.Linear]`."""
    called = names.qualified(node.value)
    if names.is_own(node.value) or is_base(node, names):
        return True
    if called is None:
        return False
    return called.startswith(_TYPING) or called in [f"builtins.{name}" for name in _TYPES]


def is_base(node: cst.BaseExpression, names: Names) -> bool:
    """Whether it is a base of a class, with or without type arguments."""
    child: cst.CSTNode = node
    above = names.parent(node)
    if isinstance(above, cst.Subscript) and above.value is child:
        child, above = above, names.parent(above)
    holder = None if above is None else names.parent(above)
    return isinstance(above, cst.Arg) and isinstance(holder, cst.ClassDef) and above in holder.bases


def _is_target(node: cst.BaseExpression, names: Names) -> bool:
    """Whether the class, or an attribute of it, is assigned or deleted."""
    above = names.parent(node)
    while isinstance(above, cst.Attribute):
        above = names.parent(above)
    return isinstance(above, cst.AssignTarget | cst.Del | cst.AugAssign)


def _is_checked_only(
    node: cst.Assign | cst.AnnAssign | cst.For | cst.CompFor, names: Names
) -> bool:
    """Whether what is assigned is only asked about.

    Example: `LAYERS = (nn.Linear, nn.Conv2d)` for `isinstance(m, LAYERS)`
    """
    if isinstance(node, cst.AnnAssign) and (
        names.qualified(node.annotation.annotation) in _ALIASES
    ):
        return True
    several = node.targets if isinstance(node, cst.Assign) else [node]
    targets = [item.target for item in several]
    uses = [use for target in targets for use in _uses(target, names)]
    return bool(uses) and all(_is_check(use, names) for use in uses)


def _uses(target: cst.BaseAssignTargetExpression, names: Names) -> list[cst.Name]:
    """Where else the variable stands that is assigned."""
    if not isinstance(target, cst.Name):
        return []
    bindings = names.bindings(target)
    same = [name for name in names.variables if name.value == target.value]
    return [name for name in same if name is not target and names.bindings(name) & bindings]


def _is_check(use: cst.Name, names: Names) -> bool:
    child: cst.CSTNode = use
    above = names.parent(child)
    while isinstance(above, _TRANSPARENT):
        child, above = above, names.parent(above)
    return isinstance(above, cst.Call) and names.qualified(above.func) in _CHECKS

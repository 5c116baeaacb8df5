"""Values that look like a module or a weight, though the source does not say what they are."""

from __future__ import annotations

import libcst as cst

from metann.codegen.syntax import text_of
from metann.codegen.users.kinds import Kind, Kinds, Layer, Resolver, Weight, Where
from metann.codegen.users.outline import UserFile

LOOKS = "it looks like a module or a weight, but the source does not say of which class"
_HOLD_WEIGHTS = ("ParameterList", "ParameterDict")


def looks_like_one(value: cst.BaseExpression | None, where: Where, resolver: Resolver) -> bool:
    """Whether a value is picked from modules, weights or classes of modules.

    Example: `getattr(nn, name)()`, `{"relu": nn.ReLU}[name]()`, `self.weights[0]`
    """
    if isinstance(value, cst.Subscript):
        held = resolver.value(value.value, where)
        names = {kind.name.rpartition(".")[2] for kind in held if isinstance(kind, Layer)}
        parts = _parts(value.value)
        return bool(names & set(_HOLD_WEIGHTS)) or any(
            _is_known(resolver.value(part, where)) for part in parts
        )
    if not isinstance(value, cst.Call):
        return False
    callee = value.func
    if isinstance(callee, cst.Subscript):
        parts = _parts(_variable(callee.value, where))
        return any(_is_known(resolver.made_by(part, where)) for part in parts)
    is_named = isinstance(callee, cst.Call) and text_of(callee.func) == "getattr"
    if isinstance(callee, cst.Call) and is_named and callee.args:
        return where.file.qualified(text_of(callee.args[0].value) or "") == "torch.nn"
    return False


def _variable(value: cst.BaseExpression, where: Where) -> cst.BaseExpression:
    """What a variable of the file holds. Example: `ACTS` -> {"relu": nn.ReLU}."""
    if not isinstance(where.file, UserFile):
        return value
    return where.file.values.get(text_of(value) or "", value)


def _parts(value: cst.BaseExpression) -> list[cst.BaseExpression]:
    """The values that a list, a tuple or a dictionary spells."""
    if isinstance(value, cst.Dict):
        return [item.value for item in value.elements]
    if isinstance(value, cst.List | cst.Tuple):
        return [item.value for item in value.elements]
    return []


def _is_known(kinds: Kinds) -> bool:
    return any(isinstance(kind, Layer | Weight) or kind is Kind.MODULE for kind in kinds)

"""Which parameters a constructor registers, and with which shapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import libcst as cst
import libcst.matchers as m

from metann.codegen.source import Registration
from metann.codegen.syntax import code_of

_SELF_ATTRIBUTE = m.AssignTarget(target=m.Attribute(value=m.Name("self")))
_PARAMETER = m.Call(func=m.Name("Parameter") | m.Attribute(attr=m.Name("Parameter")))
_LAZY_PARAMETER = m.Call(func=m.Name("UninitializedParameter"))
_ASSIGNED = m.Assign(targets=[_SELF_ATTRIBUTE], value=_PARAMETER | _LAZY_PARAMETER)
_REGISTERED_NONE = m.Call(
    func=m.Attribute(value=m.Name("self"), attr=m.Name("register_parameter")),
    args=[m.Arg(value=m.SimpleString()), m.Arg(value=m.Name("None"))],
)
_FLAG = m.Name() | m.Attribute(value=m.Name("self"))
_NOT_FLAG = m.UnaryOperation(operator=m.Not(), expression=_FLAG)
_SUPER = m.Call(func=m.Attribute(value=m.Call(func=m.Name("super")), attr=m.Name("__init__")))
_EMPTY = m.Call(func=m.Attribute(value=m.Name("torch"), attr=m.Name("empty")))


def read_registrations(constructor: cst.FunctionDef) -> tuple[Registration, ...]:
    """The parameters a constructor registers, in the order of the file.

    Example: `self.weight = Parameter(torch.empty((out_features, in_features)))` and
    `self.register_parameter("bias", None)` -> `Registration("weight", "(out_features,
    in_features)")`, `Registration("bias", None, is_none=True)`
    """
    arguments = {
        parameter.name.value: parameter.annotation
        for parameter in (*constructor.params.params, *constructor.params.kwonly_params)
    }
    integers = {
        name
        for name, annotation in arguments.items()
        if annotation is None or m.matches(annotation.annotation, m.Name("int"))
    }
    return tuple(_registrations(constructor, integers))


def read_passed_up(constructor: cst.FunctionDef) -> tuple[str, ...]:
    """What a constructor hands to its base's, in order.

    Example: `super().__init__(channels, False, bias=bias)` -> "channels", "False", "bias=bias"
    """
    calls = m.findall(constructor, _SUPER)
    if len(calls) != 1:
        return ()
    arguments = cst.ensure_type(calls[0], cst.Call).args
    return tuple(code_of(item.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for item in arguments)


def _registrations(constructor: cst.FunctionDef, integers: set[str]) -> Iterator[Registration]:
    conditions = _conditions(constructor)
    for node in m.findall(constructor, _ASSIGNED | _REGISTERED_NONE):
        if isinstance(node, cst.Assign):
            target = cst.ensure_type(node.targets[0].target, cst.Attribute)
            shape = _shape(node.value, integers)
            yield Registration(target.attr.value, shape, conditions=tuple(conditions[node]))
        else:
            name = cst.ensure_type(cst.ensure_type(node, cst.Call).args[0].value, cst.SimpleString)
            yield Registration(str(name.evaluated_value), None, is_none=True)


def _conditions(
    constructor: cst.FunctionDef,
) -> defaultdict[cst.CSTNode, list[tuple[str, bool]]]:
    """What the ifs around each assignment ask, with the answer that lets it run."""
    found: defaultdict[cst.CSTNode, list[tuple[str, bool]]] = defaultdict(list)
    for node in m.findall(constructor, m.If(test=_FLAG | _NOT_FLAG)):
        branch = cst.ensure_type(node, cst.If)
        name, value = _flag(branch.test)
        for assigned in m.findall(branch.body, _ASSIGNED):
            found[assigned].append((name, value))
        if branch.orelse is not None:
            for assigned in m.findall(branch.orelse, _ASSIGNED):
                found[assigned].append((name, not value))
    return found


def _flag(test: cst.BaseExpression) -> tuple[str, bool]:
    """Example: `bias` -> ("bias", True), `not self.affine` -> ("affine", False)."""
    if isinstance(test, cst.UnaryOperation):
        return _flag(test.expression)[0], False
    return code_of(test).removeprefix("self."), True


def _shape(parameter: cst.BaseExpression, integers: set[str]) -> str | None:
    """The shape as the source writes it; None where a given tensor is taken over.

    Example: `Parameter(torch.empty(self.size, device=device))` -> "size"
    """
    call = cst.ensure_type(parameter, cst.Call)
    if not call.args or not m.matches(call.args[0].value, _EMPTY):
        return None
    empty = cst.ensure_type(call.args[0].value, cst.Call)
    shape = empty.args[0].value
    is_number = m.matches(shape, m.BinaryOperation()) or (
        isinstance(shape, cst.Name) and shape.value in integers
    )
    text = code_of(_without_self(shape))
    return f"({text},)" if is_number else text


def _without_self(node: cst.BaseExpression) -> cst.CSTNode:
    """Example: `(embed_dim, self.kdim)` -> `(embed_dim, kdim)`."""
    on_self = m.Attribute(value=m.Name("self"))
    replaced = m.replace(node, on_self, lambda found, _: cst.ensure_type(found, cst.Attribute).attr)
    assert isinstance(replaced, cst.CSTNode)
    return replaced

"""The shape of a parameter, as far as the source shows it."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

from metann.codegen.syntax import code_of, text_of

_MAKERS = ("empty", "zeros", "ones", "rand", "randn")
_LONGEST = 60
_BY_SHAPE = m.Call(func=m.Attribute(value=m.Name("torch")))
_NUMBER = m.Integer() | m.Float() | m.UnaryOperation(expression=m.Integer() | m.Float())
_HARD_TO_SHOW = m.SimpleString() | m.FormattedString() | m.Lambda() | m.Call(func=m.Call())


def shape_of(parameter: cst.Call, function: cst.FunctionDef | None) -> str | None:
    """The shape of what a call of `Parameter` makes; None where a given tensor is taken over.

    Example: `nn.Parameter(0.02 * torch.randn(1, self.tokens))` -> "(1, tokens)"
    """
    keywords = {item.keyword.value: item.value for item in parameter.args if item.keyword}
    data = keywords.get("data")
    if data is None and parameter.args and parameter.args[0].keyword is None:
        data = parameter.args[0].value
    tensor = _without_factor(data)
    if not isinstance(tensor, cst.Call) or not m.matches(tensor, _BY_SHAPE):
        return None
    shape = _shape(tensor, _integers(function))
    is_plain = not m.findall(tensor, _HARD_TO_SHOW) and shape is not None
    return shape if is_plain and shape is not None and len(shape) <= _LONGEST else None


def _without_factor(value: cst.BaseExpression | None) -> cst.BaseExpression | None:
    """Example: `torch.ones(3) * 0.1` -> `torch.ones(3)`."""
    if isinstance(value, cst.BinaryOperation):
        if m.matches(value.right, _NUMBER):
            return _without_factor(value.left)
        if m.matches(value.left, _NUMBER):
            return _without_factor(value.right)
        return None
    return value


def _shape(tensor: cst.Call, integers: set[str]) -> str | None:
    name = (text_of(tensor.func) or "").removeprefix("torch.")
    sizes = [item.value for item in tensor.args if item.keyword is None]
    sizes += [item.value for item in tensor.args if item.keyword and item.keyword.value == "size"]
    if any(item.star for item in tensor.args):
        return None
    if name == "tensor" and len(sizes) == 1:
        return "()" if m.matches(sizes[0], _NUMBER) else None
    if name == "eye" and len(sizes) == 1:
        return f"({_text(sizes[0])}, {_text(sizes[0])})"
    if name == "full" and len(sizes) == 2:
        return _one(sizes[0], integers)
    if name not in _MAKERS or not sizes:
        return None
    return _one(sizes[0], integers) if len(sizes) == 1 else f"({', '.join(map(_text, sizes))})"


def _one(size: cst.BaseExpression, integers: set[str]) -> str:
    """A size that may be a number or a tuple. Example: `width` -> "(width,)"."""
    is_number = m.matches(size, m.Integer() | m.BinaryOperation()) or (
        isinstance(size, cst.Name) and size.value in integers
    )
    if not is_number:
        return _text(size)
    bare = _text(size.with_changes(lpar=[], rpar=[]))
    return f"({bare},)"


def _text(size: cst.BaseExpression) -> str:
    """Example: `(embed_dim, self.kdim)` -> "(embed_dim, kdim)"; a list as a tuple."""
    on_self = m.Attribute(value=m.Name("self"))
    plain = m.replace(size, on_self, lambda found, _: cst.ensure_type(found, cst.Attribute).attr)
    assert isinstance(plain, cst.CSTNode)
    if isinstance(plain, cst.List):
        plain = cst.Tuple(elements=plain.elements)
    return code_of(plain)


def _integers(function: cst.FunctionDef | None) -> set[str]:
    """The arguments that are numbers, as far as anybody can tell."""
    if function is None:
        return set()
    parameters = function.params
    arguments = (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params)
    return {
        item.name.value
        for item in arguments
        if item.annotation is None or text_of(item.annotation.annotation) == "int"
    }

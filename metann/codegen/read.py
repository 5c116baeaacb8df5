"""Source text -> `SourceFile`, with libcst; nothing is imported or executed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst
import libcst.matchers as m

from metann.codegen.registrations import read_passed_up, read_registrations
from metann.codegen.source import Argument, Function, Signature, SourceClass, SourceFile
from metann.codegen.submodules import read_submodules
from metann.codegen.syntax import code_of, statements_of, text_of

_CONSTRUCTOR = m.FunctionDef(name=m.Name("__init__"))


def read_file(text: str, module: str, *, is_package: bool = False) -> SourceFile:
    """Read one Python file.

    Example: the text of torch/nn/modules/linear.py, "torch.nn.modules.linear" -> its
    imports ("F" means "torch.nn.functional"), and the classes Identity, Linear, ...
    """
    tree = cst.parse_module(text)
    statements = list(statements_of(tree.body))
    package = module if is_package else module.rpartition(".")[0]
    return SourceFile(
        module=module,
        imports=dict(read_imports(statements, package)),
        stars=tuple(read_stars(statements, package)),
        aliases=dict(read_aliases(statements)),
        classes={
            node.name.value: read_class(node, module)
            for node in statements
            if isinstance(node, cst.ClassDef)
        },
        is_package=is_package,
        exported=tuple(read_exported(statements)),
        assigned=frozenset(name for node in statements if (name := _assignment(node)[0])),
    )


def read_class(node: cst.ClassDef, module: str) -> SourceClass:
    """Read what one class says about itself."""
    body = list(statements_of(node.body.body))
    constructor = [
        cst.ensure_type(node, cst.FunctionDef) for node in body if m.matches(node, _CONSTRUCTOR)
    ]
    return SourceClass(
        name=node.name.value,
        module=module,
        bases=tuple(code_of(without_arguments(base.value)) for base in node.bases),
        annotations=_annotations(body),
        methods=read_functions(body),
        registrations=read_registrations(constructor[-1]) if constructor else (),
        submodules=read_submodules(constructor[-1]) if constructor else {},
        passed_up=read_passed_up(constructor[-1]) if constructor else (),
        becomes=_becomes(body),
        is_deprecated=any(is_deprecated(decorator) for decorator in node.decorators),
    )


def read_imports(statements: Sequence[cst.CSTNode], package: str) -> Iterator[tuple[str, str]]:
    """Name in the file -> qualified name, for every import at the top of it."""
    for node in statements:
        if isinstance(node, cst.Import):
            for alias in node.names:
                name = alias.evaluated_name
                yield alias.evaluated_alias or name.split(".")[0], (
                    name if alias.asname else name.split(".")[0]
                )
        elif isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
            source = _absolute(node, package)
            for alias in node.names:
                yield (
                    alias.evaluated_alias or alias.evaluated_name,
                    f"{source}.{alias.evaluated_name}",
                )


def read_stars(statements: Sequence[cst.CSTNode], package: str) -> Iterator[str]:
    """The modules of every `from module import *`."""
    for node in statements:
        if isinstance(node, cst.ImportFrom) and isinstance(node.names, cst.ImportStar):
            yield _absolute(node, package)


def _absolute(node: cst.ImportFrom, package: str) -> str:
    """Example: `from .module import Module` in package "torch.nn" -> "torch.nn.module"."""
    module = text_of(node.module) or "" if node.module else ""
    levels = len(node.relative)
    if not levels:
        return module
    parts = package.split(".")
    above = ".".join(parts[: len(parts) - levels + 1])
    return f"{above}.{module}" if module else above


def read_aliases(statements: Sequence[cst.CSTNode]) -> Iterator[tuple[str, str]]:
    """`_size_2_t = _scalar_or_tuple_2_t[int]`, annotated as TypeAlias or not."""
    for node in statements:
        target, value = _assignment(node)
        if target and isinstance(
            value, cst.Name | cst.Attribute | cst.Subscript | cst.BinaryOperation
        ):
            yield target, code_of(value)


def _assignment(node: cst.CSTNode) -> tuple[str | None, cst.BaseExpression | None]:
    if isinstance(node, cst.AnnAssign):
        return text_of(node.target), node.value
    if isinstance(node, cst.Assign) and len(node.targets) == 1:
        return text_of(node.targets[0].target), node.value
    return None, None


def read_exported(statements: Sequence[cst.CSTNode]) -> Iterator[str]:
    """The strings of `__all__`, in order."""
    for node in statements:
        target, value = _assignment(node)
        if target == "__all__" and isinstance(value, cst.List | cst.Tuple):
            for element in value.elements:
                if isinstance(element.value, cst.SimpleString):
                    yield str(element.value.evaluated_value)


def without_arguments(base: cst.BaseExpression) -> cst.BaseExpression:
    """Example: `Generic[T]` -> `Generic`."""
    return base.value if isinstance(base, cst.Subscript) else base


def _annotations(body: Sequence[cst.CSTNode]) -> dict[str, str]:
    """`weight: Tensor` in the class body, `self.weight: Tensor | None` in the constructor."""
    found = {
        node.target.value: code_of(node.annotation.annotation)
        for node in body
        if isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name)
    }
    for function in body:
        if not m.matches(function, _CONSTRUCTOR):
            continue
        on_self = m.AnnAssign(target=m.Attribute(value=m.Name("self")))
        for node in m.findall(function, on_self):
            assert isinstance(node, cst.AnnAssign)
            assert isinstance(node.target, cst.Attribute)
            found.setdefault(node.target.attr.value, code_of(node.annotation.annotation))
    return found


def _becomes(body: Sequence[cst.CSTNode]) -> str | None:
    """Example: `cls_to_become = Linear` in a lazy class -> "Linear"."""
    for node in body:
        target, value = _assignment(node)
        if target == "cls_to_become" and isinstance(value, cst.Name) and value.value != "None":
            return value.value
    return None


def is_deprecated(decorator: cst.Decorator) -> bool:
    """Example: `@deprecated("use the other", category=FutureWarning)`."""
    return m.matches(decorator.decorator, m.Call(func=m.Name("deprecated")))


def read_functions(body: Sequence[cst.CSTNode]) -> dict[str, Function]:
    """Each function of a block once: its overloads if it has any, else its last definition."""
    found: dict[str, list[cst.FunctionDef]] = {}
    for node in body:
        if isinstance(node, cst.FunctionDef):
            found.setdefault(node.name.value, []).append(node)
    return {name: _function(definitions) for name, definitions in found.items()}


def _function(definitions: Sequence[cst.FunctionDef]) -> Function:
    overloads = [function for function in definitions if is_overload(function)]
    return Function(
        signatures=tuple(read_signature(function) for function in overloads or definitions[-1:]),
        returned=_returned(definitions[-1]),
    )


def is_overload(function: cst.FunctionDef) -> bool:
    """Whether it is one of the signatures before a function, `@overload`."""
    return any(
        m.matches(
            item.decorator,
            m.Name("overload") | m.Attribute(attr=m.Name("overload")),
        )
        for item in function.decorators
    )


def read_signature(function: cst.FunctionDef) -> Signature:
    """Example: `def f(self, a: int = 0) -> str` -> the arguments as they are, and "str"."""
    returns = function.returns
    return Signature(
        arguments=tuple(_arguments(function.params)),
        returns=None if returns is None else code_of(returns.annotation),
    )


def _arguments(parameters: cst.Parameters) -> Iterator[Argument]:
    """Example: `self, a: int, *, b=None` -> `self`, `a: int`, `*`, `b=None`."""
    for parameter in parameters.posonly_params:
        yield _argument(parameter)
    if parameters.posonly_params:
        yield Argument("", prefix="/")
    for parameter in parameters.params:
        yield _argument(parameter)
    if isinstance(parameters.star_arg, cst.Param):
        yield _argument(parameters.star_arg, "*")
    elif parameters.kwonly_params:
        yield Argument("", prefix="*")
    for parameter in parameters.kwonly_params:
        yield _argument(parameter)
    if parameters.star_kwarg is not None:
        yield _argument(parameters.star_kwarg, "**")


def _argument(parameter: cst.Param, prefix: str = "") -> Argument:
    annotation, default = parameter.annotation, parameter.default
    return Argument(
        name=parameter.name.value,
        annotation=None if annotation is None else code_of(annotation.annotation),
        default=None if default is None else code_of(default),
        prefix=prefix,
    )


def _returned(function: cst.FunctionDef) -> str | None:
    """Example: a body of one docstring and `return F.relu(input)` -> "F.relu(input)"."""
    docstring = m.Expr(value=m.SimpleString() | m.ConcatenatedString())
    body = [node for node in statements_of(function.body.body) if not m.matches(node, docstring)]
    if len(body) == 1 and isinstance(body[0], cst.Return) and body[0].value is not None:
        return code_of(body[0].value)
    return None

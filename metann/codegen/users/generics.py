"""What a user's class is generic in, by any of the ways to say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m

from metann.codegen.library import Library
from metann.codegen.source import SourceFile
from metann.codegen.syntax import code_of, text_of
from metann.codegen.users.outline import Definition, UserFile
from metann.codegen.users.spelling import Place, UnknownNameError, UserSpeller

_GENERIC = ("typing.Generic", "typing.Protocol", "typing_extensions.Generic")
_VARIABLES = ("TypeVar", "ParamSpec", "TypeVarTuple")


@dataclass(frozen=True)
class Generic:
    """How a generic class is written; `unknown` is a name that nothing defines.

    Attributes:
        arguments: after the name of the user's class and the counterpart's. Example: "[T]".
        parameters: after `class DependentNet`, of a class that declares them so (PEP 695).
        local: the names that mean something in the class only.
    """

    arguments: str = ""
    parameters: str = ""
    local: frozenset[str] = frozenset()
    unknown: str = ""


def generic_of(definition: Definition, file: UserFile, speller: UserSpeller) -> Generic:
    """Find out what a class is generic in.

    Example: `class Net(nn.Module, Generic[T])` -> arguments "[T]"
    """
    try:
        return _generic_of(definition, file, speller)
    except UnknownNameError as error:
        return Generic(unknown=str(error))


def _generic_of(definition: Definition, file: UserFile, speller: UserSpeller) -> Generic:
    node = definition.node
    if node.type_parameters is not None:
        return _declared(node.type_parameters, file, speller)
    place = Place(file)
    for base in node.bases:
        if isinstance(base.value, cst.Subscript):
            name = file.qualified(text_of(base.value.value) or "")
            if name in _GENERIC:
                return Generic(_arguments(base.value, place, speller))
    variables = list(dict.fromkeys(_variables(node, file, speller.library)))
    if not variables:
        return Generic()
    names = [speller.name(name, place, True) for name in variables]
    return Generic(f"[{', '.join(names)}]")


def _declared(parameters: cst.TypeParameters, file: UserFile, speller: UserSpeller) -> Generic:
    """Example: `class Net[T: nn.Module, *Ts]` -> arguments "[T, *Ts]"."""
    names = [item.param.name.value for item in parameters.params]
    local = frozenset(names)
    spelled = [
        (
            f"*{item.param.name.value}"
            if isinstance(item.param, cst.TypeVarTuple)
            else item.param.name.value
        )
        for item in parameters.params
    ]
    text = speller.parameters(parameters, Place(file, local=local))
    return Generic(f"[{', '.join(spelled)}]", text, local=local)


def base_arguments(base: cst.BaseExpression, place: Place, speller: UserSpeller) -> str:
    """The arguments that a base is given. Example: `Net[int]` -> "[int]"."""
    if not isinstance(base, cst.Subscript):
        return ""
    try:
        return _arguments(base, place, speller)
    except UnknownNameError:
        return ""


def _arguments(base: cst.Subscript, place: Place, speller: UserSpeller) -> str:
    translated = [
        (
            speller.type(item.slice.value, place, at_run_time=True)
            if isinstance(item.slice, cst.Index) and item.slice.star is None
            else _starred(item, place, speller)
        )
        for item in base.slice
    ]
    return f"[{', '.join(translated)}]"


def _starred(item: cst.SubscriptElement, place: Place, speller: UserSpeller) -> str:
    """Example: the `*Ts` of `Generic[*Ts]`."""
    index = cst.ensure_type(item.slice, cst.Index)
    return f"*{speller.type(index.value, place, at_run_time=True)}"


def _variables(node: cst.ClassDef, file: UserFile, library: Library) -> Iterator[str]:
    """The type variables in the bases of a class, in their order."""
    for base in node.bases:
        if isinstance(base.value, cst.Subscript):
            for name in m.findall(base.value, m.Name()):
                text = code_of(name)
                if _is_variable(text, file, library):
                    yield text


def _is_variable(name: str, file: SourceFile, library: Library, depth: int = 0) -> bool:
    """Whether a name is given a `TypeVar`, here or where it is imported from."""
    value = file.values.get(name) if isinstance(file, UserFile) else None
    if isinstance(value, cst.Call):
        return file.qualified(text_of(value.func) or "").rpartition(".")[2] in _VARIABLES
    module, _, imported = file.imports.get(name, "").rpartition(".")
    other = library.files.get(module) if module and depth < 5 else None
    return other is not None and _is_variable(imported, other, library, depth + 1)

"""Which weights a layer registers, over all its bases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from metann.codegen.library import Library
from metann.codegen.model import DependentPlan
from metann.codegen.source import Function, Registration, SourceClass

_LITERALS = {"True": True, "False": False}


def plan_dependents(
    library: Library, source: SourceClass, above: SourceClass | None
) -> tuple[DependentPlan, ...]:
    """The dependents that the counterpart above does not already declare.

    Example: Linear -> weight of shape (out_features, in_features), bias of shape
    (out_features,) or None; ReLU -> none
    """
    inherited = () if above is None else all_dependents(library, above)
    return tuple(item for item in all_dependents(library, source) if item not in inherited)


def all_dependents(library: Library, source: SourceClass) -> tuple[DependentPlan, ...]:
    """The dependents of a layer, those that the counterparts of its bases declare, too."""
    mro = library.mro(source)
    found: dict[str, list[tuple[Registration, bool]]] = {}
    for item, constants in reversed(list(_constants(mro))):
        for registration in item.registrations:
            entry = registration, _happens(registration, constants)
            found.setdefault(registration.name, []).append(entry)
    return tuple(_dependent(name, entries, mro) for name, entries in found.items())


def _dependent(
    name: str, entries: list[tuple[Registration, bool]], mro: tuple[SourceClass, ...]
) -> DependentPlan:
    annotation = next((item.annotations[name] for item in mro if name in item.annotations), None)
    is_optional = any(entry.is_none for entry, _ in entries) or "None" in (annotation or "")
    shapes = [(entry.shape, happens) for entry, happens in entries if entry.shape is not None]
    # A lazy class tells its base to register nothing and does so itself, without a shape.
    known = [shape for shape, happens in shapes if happens] or [shape for shape, _ in shapes]
    return DependentPlan(
        name=name,
        shapes=tuple(dict.fromkeys(known)),
        is_optional=is_optional,
        none_with=_none_with([entry for entry, _ in entries], mro) if is_optional else "",
        torch_type=_conflicting(annotation),
    )


def _none_with(entries: Sequence[Registration], mro: Sequence[SourceClass]) -> str:
    """The arguments of the constructor that make it None; empty if it is not only up to them.

    Example: "elementwise_affine=False or bias=False"
    """
    conditions = next((item.conditions for item in reversed(entries) if not item.is_none), ())
    constructors = [item.methods["__init__"] for item in mro if "__init__" in item.methods]
    flags = [set(_flags(constructor)) for constructor in constructors]
    if not {name for name, _ in conditions} <= set[str]().union(*flags):
        return ""
    # What only the constructor of a base takes is left to its default.
    return " or ".join(f"{name}={not value}" for name, value in conditions if name in flags[0])


def _flags(constructor: Function) -> Iterator[str]:
    """The arguments that are True or False."""
    for argument in constructor.signatures[-1].arguments:
        if argument.annotation == "bool" or argument.default in _LITERALS:
            yield argument.name


def _conflicting(annotation: str | None) -> str | None:
    """torch's type if it is too narrow for a dependent.

    Without an annotation a type checker takes the type of what is assigned.
    Example: None -> "Parameter", "Tensor" -> None
    """
    if annotation is None:
        return "Parameter"
    return annotation if annotation.endswith("Parameter") else None


def _constants(
    mro: Sequence[SourceClass],
) -> Iterator[tuple[SourceClass, dict[str, bool]]]:
    """Each class with the arguments of its constructor that are always the same for `mro[0]`.

    Example: Conv2d hands False to _ConvNd as `transposed` -> (_ConvNd, {"transposed": False})
    """
    constants: dict[str, bool] = {}
    passed: tuple[str, ...] = ()
    for source in mro:
        constructor = source.methods.get("__init__")
        if constructor is not None and "*args" not in source.passed_up:
            names = [argument.name for argument in constructor.signatures[0].arguments[1:]]
            values = {**_LITERALS, **constants}
            given = zip(names, passed, strict=False)
            constants = {name: values[value] for name, value in given if value in values}
            passed = source.passed_up
        yield source, constants


def _happens(registration: Registration, constants: Mapping[str, bool]) -> bool:
    return all(constants.get(name, value) == value for name, value in registration.conditions)

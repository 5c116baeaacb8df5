"""Which classes of a user's file get no counterpart in the written file, and why."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from metann.codegen.library import Library
from metann.codegen.model import Note
from metann.codegen.source import SourceClass
from metann.codegen.syntax import text_of
from metann.codegen.users.bases import is_dependent, unknown_bases
from metann.codegen.users.outline import FOR_TYPES, UserFile
from metann.codegen.users.reading import UserSource

# Decorators after which a name is no class that can be derived from.
_NO_CLASS = ("torch.jit.script", "functools.cache", "functools.lru_cache")


def why_not_written(source: SourceClass, file: UserFile, library: Library) -> str | None:
    """Why a module of the user's gets no counterpart; None if it gets one.

    Example: `class Net(DependentModule)` -> "it is a DependentModule already"
    """
    definitions = file.definitions[source.name]
    if is_dependent(source, library):
        return "it is a DependentModule already"
    if all(item.under == FOR_TYPES for item in definitions):
        return "it exists for type checkers only"
    if source.name.partition(".")[0] in file.deleted:
        return "its file deletes it again"
    for decorator in (item for found in definitions for item in found.node.decorators):
        called = decorator.decorator
        dotted = text_of(called.func if isinstance(called, cst.Call) else called)
        if dotted and file.qualified(dotted) in _NO_CLASS:
            return f"what @{dotted} makes of it is no class to derive from"
    return None


def left_out(source: UserSource) -> Iterator[Note]:
    """The classes that may be modules of the user's, but of which no more is known or possible."""
    file, library = source.file, source.library
    for node, (name, function) in zip(file.local, file.inside, strict=True):
        if any(_is_layer(base.value, file, library) for base in node.bases):
            yield Note(
                name,
                f"it is defined in a function, {function}, so no file can import it; its "
                "counterpart is written when the program first needs it",
            )
    for item in file.classes.values():
        unknown = next(unknown_bases(item, library), None)
        if unknown is not None and not library.is_layer(item):
            yield Note(
                item.name,
                f"whether it is a module is not known, as no file was found that defines its base "
                f"{unknown}",
            )


def _is_layer(base: cst.BaseExpression, file: UserFile, library: Library) -> bool:
    dotted = text_of(base.value if isinstance(base, cst.Subscript) else base)
    found = library.find(file.qualified(dotted)) if dotted else None
    return found is not None and library.is_layer(found)

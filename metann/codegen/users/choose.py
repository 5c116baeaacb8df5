"""Which classes of a user's file get counterparts, and what to say if there is none."""

from __future__ import annotations

import builtins
import difflib
from collections.abc import Iterable, Iterator, Sequence

from metann.codegen.errors import CodegenError
from metann.codegen.source import SourceClass
from metann.codegen.users.locate import Target
from metann.codegen.users.reading import Files, UserSource


def choose(source: UserSource, target: Target) -> list[SourceClass]:
    """The layers of a file, or those that were asked for, in the order of the file.

    Example: `class Net(nn.Module)`, `class Data`, and no name asked for -> Net
    """
    layers = source.layers()
    _refuse_unread_bases(source)
    names = [item.name for item in layers]
    if not layers and not target.names:
        raise CodegenError(_none_found(source, target))
    for name in target.names:
        if name not in names:
            raise CodegenError(_not_found(name, target, names, source))
    return [item for item in layers if item.name in target.names or not target.names]


def _refuse_unread_bases(source: UserSource) -> None:
    """Raise what was wrong with a file that a base comes from: it may make a class a layer."""
    files = source.library.files
    if not isinstance(files, Files) or not files.problems:
        return
    for item in source.file.classes.values():
        for above in source.library.mro(item):
            bases = (files[above.module].qualified(base) for base in above.bases)
            for module in (module for base in bases for module in _trail(base, files, [])):
                if module in files.problems:
                    raise files.problems[module]


def _trail(qualified: str, files: Files, seen: list[str]) -> Iterator[str]:
    """The modules through which a name is imported. Example: "pkg.Net" -> "pkg", "pkg.nets"."""
    home, _, name = qualified.rpartition(".")
    if qualified in seen:
        return
    yield home
    file = files.get(home)
    further = [] if file is None else [f"{star}.{name}" for star in file.stars]
    further += [file.imports[name]] if file is not None and name in file.imports else []
    for item in further:
        yield from _trail(item, files, [*seen, qualified])


def _none_found(source: UserSource, target: Target) -> str:
    if source.file.inside:
        name, function = source.file.inside[0]
        return f"Asked for the modules in {target.given}, but {_local(name, function)}"
    imported = [] if source.file.classes else sorted(_imported(source))
    if imported:
        named = _few([f"{name} is in {home}" for name, home in imported])
        homes = _few(sorted({home for _, home in imported}))
        return (
            f"Asked for the modules in {target.given}, but it only imports modules: {named}. "
            f"Ask for {homes} instead."
        )
    classes = ", ".join(source.file.classes) or "none at all"
    return (
        f"Asked for the modules in {target.given}, but no class there derives from "
        f"torch.nn.Module as far as the source says (classes there: {classes}). "
        f"{_starred(source.file.classes.values(), source)}Name another file."
    )


def _not_found(name: str, target: Target, layers: Sequence[str], source: UserSource) -> str:
    asked = f"Asked for {target.given}:{name}, but"
    functions = [function for local, function in source.file.inside if local == name]
    if functions:
        return f"{asked} {_local(name, functions[0])}"
    found = None if name in source.file.classes else _find(name, source)
    if found is not None and source.library.is_layer(found):
        return (
            f"{asked} it only imports {name}, which is in {found.module}. Ask for "
            f"{found.module}:{found.name} instead."
        )
    starred = ""
    if name in source.file.classes:
        starred = _starred([source.file.classes[name]], source)
        what = f"its class {name} does not derive from torch.nn.Module as far as the source says"
    else:
        what = f"it has no class {name}"
    nearest = difflib.get_close_matches(name, layers, n=3, cutoff=0.5) or layers
    known = f"The modules there: {', '.join(nearest)}." if nearest else "It has no module at all."
    return f"{asked} {what}. {starred}{known}"


def _imported(source: UserSource) -> set[tuple[str, str]]:
    """The users' modules that a file imports, each with the file that it is in."""
    library, own = source.library, source.file
    files = filter(None, map(library.files.get, own.stars))
    names = [*own.imports, *(name for file in files for name in file.classes)]
    found = {name: _find(name, source) for name in names}
    return {
        (name, item.module)
        for name, item in found.items()
        if item is not None and library.is_layer(item) and not item.module.startswith("torch.")
    }


def _find(name: str, source: UserSource) -> SourceClass | None:
    """A class of another file that this one has by a name."""
    found = source.library.find(f"{source.file.module}.{name}")
    return None if found is None or found.module == source.file.module else found


def _starred(classes: Iterable[SourceClass], source: UserSource) -> str:
    """Say that a base may come from a star import; nothing if there is no such base."""
    file, library = source.file, source.library
    known = {*file.imports, *file.classes, *file.assigned, *dir(builtins)}
    own = (item for each in classes for item in library.mro(each) if item.module == file.module)
    firsts = (base.partition(".")[0] for item in own for base in item.bases)
    unknown = next((first for first in firsts if first not in known), None)
    if unknown is None or not file.stars:
        return ""
    stars = _few([f"`from {module} import *`" for module in file.stars])
    return (
        f"{unknown} may come from {stars}, and bases are not looked for there: import {unknown} "
        "by its name. "
    )


def _few(texts: Sequence[str], most: int = 3) -> str:
    """Example: four texts -> "a, b, c, ..."."""
    return ", ".join([*texts[:most], *(["..."] if len(texts) > most else [])])


def _local(name: str, function: str) -> str:
    return (
        f"its class {name} is defined in a function, {function}, so no other file can import it. "
        "Move it to the top level of the file, or leave it: its counterpart is written when the "
        "program first needs it."
    )

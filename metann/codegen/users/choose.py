"""Which classes of a user's file get counterparts, and what to say if there is none."""

from __future__ import annotations

import difflib

from metann.codegen.errors import CodegenError
from metann.codegen.source import SourceClass
from metann.codegen.users.locate import Target
from metann.codegen.users.reading import UserSource


def choose(source: UserSource, target: Target) -> list[SourceClass]:
    """The layers of a file, or those that were asked for, in the order of the file.

    Example: `class Net(nn.Module)`, `class Data`, and no name asked for -> Net
    """
    layers = source.layers()
    if not layers and not target.names:
        raise CodegenError(_none_found(source, target))
    unknown = [name for name in target.names if name not in {item.name for item in layers}]
    if unknown:
        raise CodegenError(_not_found(unknown[0], target, layers, source))
    return [item for item in layers if item.name in target.names or not target.names]


def _none_found(source: UserSource, target: Target) -> str:
    classes = ", ".join(source.file.classes) or "none at all"
    return (
        f"Asked for the modules in {target.given}, but no class at its top level derives from "
        f"torch.nn.Module as far as the source says (classes there: {classes}). Name another file."
    )


def _not_found(name: str, target: Target, layers: list[SourceClass], source: UserSource) -> str:
    if name in source.file.classes:
        what = f"its class {name} does not derive from torch.nn.Module as far as the source says"
    else:
        what = f"it has no class {name} at its top level"
    names = [item.name for item in layers]
    nearest = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names
    known = f"The modules there: {', '.join(nearest)}." if nearest else "It has no module at all."
    return f"Asked for {target.given}:{name}, but {what}. {known}"

"""A user's module -> the plan of a file that holds counterparts of the layers in it."""

from __future__ import annotations

import difflib
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass

import libcst as cst

from metann.codegen.errors import CodegenError
from metann.codegen.imports import import_lines
from metann.codegen.layers import LayerPlanner
from metann.codegen.library import MODULE, Library
from metann.codegen.model import ClassPlan, ImportPlan, UserFilePlan
from metann.codegen.plan import layer_planner
from metann.codegen.read import read_file
from metann.codegen.source import SourceClass, SourceFile
from metann.codegen.users.locate import Target, find_module

_BASE = ImportPlan("metann.module", "DependentModule")


@dataclass(frozen=True)
class UserSource:
    """A user's file, in a library that has torch and the files its bases come from, too."""

    file: SourceFile
    library: Library

    def layers(self) -> list[SourceClass]:
        """The classes of the file that derive from torch.nn.Module, in the order of the file."""
        return [item for item in self.file.classes.values() if self.library.is_layer(item)]


def read_user(target: Target, torch: Library) -> UserSource:
    """Read a user's file and those of the bases it mentions; torch's are already there."""
    own = _read(target.module, target)
    files: dict[str, SourceFile] = {**torch.files, target.module: own}
    pending = _mentioned(own)
    while pending:
        module = pending.pop()
        path = None if module in files else find_module(module)
        if path is not None:
            files[module] = _read(module, Target(module, path))
            pending.extend(_mentioned(files[module]))
    return UserSource(own, Library(torch.version, files))


def plan_user(source: UserSource, target: Target, command: str) -> UserFilePlan:
    """Plan counterparts of the layers of a file, or of the one that was asked for.

    Example: `class Net(nn.Module)` in pkg/nets.py -> `class DependentNet(Net, DependentModule)`
    """
    chosen = _chosen(source, target)
    planner = layer_planner(source.library)
    written = {*planner.written, *(item.qualified_name for item in chosen)}
    planner = LayerPlanner(source.library, planner.speller, written)
    needed = {ImportPlan("metann"), *(ImportPlan(target.module, item.name) for item in chosen)}
    layers: list[ClassPlan] = []
    for item in chosen:
        bases = _bases(item, planner)
        needed |= {base for base in bases if base.module != target.module}
        layers.append(
            ClassPlan(
                name=planner.counterpart_name(item),
                original=item.qualified_name,
                bases=(item.name, *(base.name for base in bases)),
                is_deprecated=item.is_deprecated,
            )
        )
    return UserFilePlan(
        source=target.module,
        command=command,
        imports=import_lines(needed, own=target.module.partition(".")[0]),
        layers=tuple(layers),
    )


def _read(module: str, target: Target) -> SourceFile:
    is_package = target.path.name == "__init__.py"
    try:
        # In the encoding that the file declares.
        with tokenize.open(target.path) as file:
            return read_file(file.read(), module, is_package=is_package)
    except cst.ParserSyntaxError as error:
        raise CodegenError(
            f"Asked to read {target.path}, but line {error.raw_line} is no Python: "
            f"{error.message.splitlines()[0]}. Nothing was written."
        ) from error
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise CodegenError(
            f"Asked to read {target.path}, but it cannot be read: {error}"
        ) from error


def _mentioned(file: SourceFile) -> list[str]:
    """The modules that the bases of a file's classes come from, or pass through."""
    bases = [base for source in file.classes.values() for base in source.bases]
    names = [file.qualified(base) for base in bases]
    names += file.imports.values() if file.is_package else []
    modules = (name.rpartition(".")[0] for name in names)
    return [module for module in (*modules, *file.stars) if module]


def _chosen(source: UserSource, target: Target) -> list[SourceClass]:
    layers = source.layers()
    if target.name is None and layers:
        return layers
    found = [item for item in layers if item.name == target.name]
    if found:
        return found
    names = {item.name: item for item in layers}
    if target.name is None:
        raise CodegenError(_none_found(source, target))
    raise CodegenError(_not_found(target, names, source))


def _none_found(source: UserSource, target: Target) -> str:
    classes = ", ".join(source.file.classes) or "none at all"
    return (
        f"Asked for the modules in {target.path}, but no class at its top level derives from "
        f"torch.nn.Module as far as the source says (classes there: {classes}). "
        "Nothing was written."
    )


def _not_found(target: Target, layers: Mapping[str, SourceClass], source: UserSource) -> str:
    name = target.name or ""
    if name in source.file.classes:
        what = f"its class {name} does not derive from torch.nn.Module as far as the source says"
    else:
        what = f"it has no class {name} at its top level"
    nearest = difflib.get_close_matches(name, layers, n=3, cutoff=0.5) or list(layers)
    known = f"The modules there: {', '.join(nearest)}." if nearest else "It has no module at all."
    return f"Asked for {target.module}:{name}, but {what}. {known} Nothing was written."


def _bases(source: SourceClass, planner: LayerPlanner) -> list[ImportPlan]:
    """The counterpart of each base that has one, as something to import; or DependentModule."""
    found: list[ImportPlan] = []
    for base in planner.library.bases_of(source):
        if base.qualified_name == MODULE or not planner.library.is_layer(base):
            continue
        has_one = base.qualified_name in planner.written
        above = base if has_one else planner.counterpart_above(base)
        if above is not None:
            found.append(planner.counterpart_import(above))
    return list(dict.fromkeys(found)) or [_BASE]

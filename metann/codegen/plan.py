"""`Library` -> `LibraryPlan`: which counterparts are written, in which files, and which not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace

from metann.codegen.facts import ALSO_WRITTEN, SKIPPED
from metann.codegen.imports import import_lines
from metann.codegen.layers import LayerPlanner, Planned, file_name
from metann.codegen.library import Library
from metann.codegen.model import (
    Counterpart,
    FilePlan,
    ImportLine,
    ImportPlan,
    LibraryPlan,
    Skipped,
)
from metann.codegen.source import SourceClass
from metann.codegen.spelling import Speller


def plan_library(library: Library) -> LibraryPlan:
    """Decide what to write for every public layer of torch.nn, and say why not where not."""
    planner = layer_planner(library)
    layers = list(_layers(library))
    written = [source for source in layers if source.qualified_name in planner.written]
    skipped = [planner.shown(item) for item in layers if item.qualified_name not in planner.written]
    return LibraryPlan(
        torch_version=library.version,
        files=tuple(_plan_files(planner, written)),
        counterparts=tuple(_counterparts(planner, written)),
        overload_imports=_overload_imports(planner, written),
        skipped=tuple(Skipped(name, SKIPPED[name]) for name in skipped),
    )


def layer_planner(library: Library) -> LayerPlanner:
    """What plans the counterparts of torch's layers, and knows which of them have one."""
    public = {source.qualified_name: name for name, source in library.exports()}
    planner = LayerPlanner(library, Speller(library, public))
    layers = [source for source in _layers(library) if planner.shown(source) not in SKIPPED]
    return replace(planner, written=frozenset(source.qualified_name for source in layers))


def _layers(library: Library) -> Iterator[SourceClass]:
    """The public layers of torch.nn, and those that torch puts into a user's tree itself."""
    for _, source in library.exports():
        if library.is_layer(source):
            yield source
    for name in ALSO_WRITTEN:
        found = library.find(name)
        if found is not None:
            yield found


def _plan_files(planner: LayerPlanner, written: Iterable[SourceClass]) -> Iterable[FilePlan]:
    """One file for each torch source file, its classes in the order of torch's file."""
    wanted = {source.qualified_name for source in written}
    for module, file in sorted(planner.library.files.items()):
        sources = [item for item in file.classes.values() if item.qualified_name in wanted]
        if sources:
            yield _plan_file(planner, module, sources)


def _plan_file(planner: LayerPlanner, module: str, sources: list[SourceClass]) -> FilePlan:
    planned = [planner.plan(source) for source in sources]
    needed = {item for layer in planned for item in layer.imports}
    needed |= {ImportPlan("typing", "TYPE_CHECKING")}
    runtime = {item for item in needed if _at_run_time(item, planned)}
    own = f"metann.generated.{module.rpartition('.')[2]}"
    return FilePlan(
        name=module.rpartition(".")[2],
        source=module,
        torch_version=planner.library.version,
        imports=import_lines(item for item in runtime if item.module != own),
        type_imports=import_lines(needed - runtime),
        layers=tuple(layer.layer for layer in planned),
    )


def _at_run_time(item: ImportPlan, planned: Iterable[Planned]) -> bool:
    """What only annotations name is not imported at run time: another torch may not have it."""
    if item.module == "torch" or item.module.partition(".")[0] in sys.stdlib_module_names:
        return True
    return any(item in layer.runtime for layer in planned)


def _counterparts(planner: LayerPlanner, written: Iterable[SourceClass]) -> Iterable[Counterpart]:
    """All counterparts, a subclass before its bases: the first overload that fits is taken."""
    ordered = sorted(written, key=lambda source: -len(planner.library.mro(source)))
    for source in ordered:
        yield Counterpart(
            original=source.qualified_name,
            spelled=planner.speller.name(source.qualified_name).text,
            file=file_name(source),
            name=planner.counterpart_name(source),
            is_deprecated=source.is_deprecated,
        )


def _overload_imports(
    planner: LayerPlanner, written: Iterable[SourceClass]
) -> tuple[ImportLine, ...]:
    """What the overloads name: every torch class, and every counterpart."""
    needed = {
        ImportPlan("metann.learner", "Learner"),
        ImportPlan("metann.module", "DependentModule"),
        ImportPlan("metann.typed", "Params"),
        ImportPlan("torch", "nn"),
    }
    for source in written:
        needed |= planner.speller.name(source.qualified_name).imports
        module = f"metann.generated.{file_name(source)}"
        needed.add(ImportPlan(module, planner.counterpart_name(source)))
    return import_lines(needed)

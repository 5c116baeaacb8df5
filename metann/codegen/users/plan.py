"""A user's module -> the plan of a file that holds counterparts of the layers in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metann.codegen.errors import CodegenError
from metann.codegen.model import ImportPlan, Note
from metann.codegen.plan import layer_planner
from metann.codegen.source import SourceClass
from metann.codegen.user_model import DoorPlan, UserClassPlan, UserFilePlan
from metann.codegen.users.attributes import attributes_of
from metann.codegen.users.bases import Counterparts, acts_on_subclasses
from metann.codegen.users.choose import choose
from metann.codegen.users.classes import ClassPlanner, PlannedClass
from metann.codegen.users.exclusions import left_out, why_not_written
from metann.codegen.users.kinds import Resolver
from metann.codegen.users.locate import Target
from metann.codegen.users.metaclasses import Metaclasses
from metann.codegen.users.names import Names
from metann.codegen.users.reading import UserSource
from metann.codegen.users.spelling import UserSpeller

_OVERLAP = (
    "  # type: ignore[overload-overlap, unused-ignore]"
    "  # pyright: ignore[reportOverlappingOverload]"
)


def plan_user(source: UserSource, target: Target, command: str) -> UserFilePlan:
    """Plan counterparts of the layers of a file, or of those that were asked for.

    Example: `class Net(nn.Module)` in pkg/nets.py -> `class DependentNet(Net, DependentModule)`
    """
    chosen, skipped = _written(source, target)
    own = counterpart_names(chosen)
    names = Names(own.values(), _declared(chosen, source))
    names.use_outside(ImportPlan("metann"), at_run_time=True)
    counterparts = Counterparts(layer_planner(source.library), names, own)
    speller = UserSpeller(source.library, names)
    metaclasses = Metaclasses(counterparts, speller)
    planner = ClassPlanner(source.file, counterparts, speller, metaclasses)
    planned = [planner.plan(item) for item in chosen]
    doors = tuple(_doors(chosen, planned, source, names))
    if names.has_types or any(item.layer.declared for item in planned):
        names.use_outside(ImportPlan("typing", "TYPE_CHECKING"), at_run_time=True)
    at_run_time, for_types = names.lines(own=target.module.partition(".")[0])
    return UserFilePlan(
        source=target.module,
        command=command,
        imports=at_run_time,
        type_imports=for_types,
        metaclasses=metaclasses.defined,
        layers=tuple(item.layer for item in planned),
        doors=doors,
        notes=tuple(dict.fromkeys((*skipped, *(n for item in planned for n in item.notes)))),
    )


def _written(source: UserSource, target: Target) -> tuple[list[SourceClass], list[Note]]:
    """The classes that get a counterpart, and a note for each that does not."""
    chosen = choose(source, target)
    reasons = {item.name: why_not_written(item, source.file, source.library) for item in chosen}
    skipped = [Note(name, reason) for name, reason in reasons.items() if reason]
    written = [item for item in chosen if reasons[item.name] is None]
    if not written:
        first = skipped[0]
        raise CodegenError(
            f"Asked for the modules in {target.given}, but there is nothing to write: of "
            f"{first.what}, {first.why}. Name another file or class."
        )
    return written, [*skipped, *(() if target.names else left_out(source))]


def _declared(chosen: Sequence[SourceClass], source: UserSource) -> set[str]:
    """The attributes that the written classes may declare."""
    resolver = Resolver(source.library)
    definitions = (d for item in chosen for d in source.file.definitions[item.name])
    return {name for d in definitions for name in attributes_of(d.source, resolver).found}


def counterpart_names(chosen: Sequence[SourceClass]) -> dict[str, str]:
    """The name of each counterpart, by the qualified name of the class.

    Example: Net -> "DependentNet", Outer.Inner -> "DependentOuterInner"; of `_Net` beside `Net`
    -> "Dependent_Net"
    """
    plain = {item.name for item in chosen}
    found: dict[str, str] = {}
    for item in chosen:
        parts = [part.lstrip("_") or part for part in item.name.split(".")]
        name = f"Dependent{''.join(parts)}"
        if item.name.startswith("_") and (item.name.lstrip("_") in plain or name in found.values()):
            name = f"Dependent{item.name.replace('.', '')}"
        while name in found.values():
            name += "_"
        found[item.qualified_name] = name
    return found


def _doors(
    chosen: Sequence[SourceClass], planned: Sequence[PlannedClass], source: UserSource, names: Names
) -> Iterator[DoorPlan]:
    """The overloads of `to_dependent`, a subclass before its bases."""
    pairs = zip((item.qualified_name for item in chosen), planned, strict=True)
    layers = {name: plan for name, plan in pairs if plan.is_known or len(planned) == 1}
    known = (item for item in chosen if item.qualified_name in layers)
    ordered = sorted(known, key=lambda item: -len(source.library.mro(item)))
    if len(ordered) == 1:
        names.use_outside(ImportPlan("typing", "cast"), at_run_time=True)
    elif ordered:
        names.use_outside(ImportPlan("typing", "overload"), at_run_time=True)
        names.use_outside(ImportPlan("torch", "nn"))
        names.use_outside(ImportPlan("metann.module", "DependentModule"), at_run_time=True)
    for item in ordered:
        above = {base.qualified_name for base in source.library.mro(item)[1:]}
        overlaps = bool(above & layers.keys()) and acts_on_subclasses(item, source.library)
        yield _door(layers[item.qualified_name].layer, _OVERLAP if overlaps else "")


def _door(layer: UserClassPlan, comment: str) -> DoorPlan:
    parameters = layer.head.removeprefix(layer.name)
    return DoorPlan(
        head=f"to_dependent{parameters}",
        takes=layer.spelled + layer.type_parameters,
        returns=layer.name + layer.type_parameters,
        comment=comment,
    )

"""A user's module -> the plan of a file that holds counterparts of the layers in it."""

from __future__ import annotations

from metann.codegen.imports import import_lines
from metann.codegen.layers import LayerPlanner
from metann.codegen.library import MODULE
from metann.codegen.model import ClassPlan, ImportPlan, UserFilePlan
from metann.codegen.plan import layer_planner
from metann.codegen.source import SourceClass
from metann.codegen.users.choose import choose
from metann.codegen.users.locate import Target
from metann.codegen.users.reading import UserSource

_BASE = ImportPlan("metann.module", "DependentModule")


def plan_user(source: UserSource, target: Target, command: str) -> UserFilePlan:
    """Plan counterparts of the layers of a file, or of the one that was asked for.

    Example: `class Net(nn.Module)` in pkg/nets.py -> `class DependentNet(Net, DependentModule)`
    """
    chosen = choose(source, target)
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

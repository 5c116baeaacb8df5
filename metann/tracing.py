"""A functional call inside `torch.compile`: the rebuild in steps that its tracer can follow.

The instance is made of objects that live only in the trace, so nothing of it is left in the
module, and what is read from the module's own tables is guarded: torch.compile traces anew after
a change, as far as it notices changes of modules at all (by default it does not notice hooks).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from torch import Tensor, nn

from metann.errors import SubstitutionError
from metann.filling import Row, StalePlanError
from metann.hooks import HOOK_TABLES
from metann.layout import Layout
from metann.module import DependentModule
from metann.planning import Plan
from metann.references import TORCH_TABLES, Carrier, carried_names
from metann.slots import SLOTS
from metann.tree import join

_new = object.__new__
_set = object.__setattr__
_OWN_TABLES = ("_parameters", "_buffers", "_modules", "training", SLOTS)
_COPIED: Any = (list, dict, set)
_MUTABLE: Any = (*_COPIED, deque, SimpleNamespace)


def is_traceable(plan: Plan) -> bool:
    """Whether modules of this tree can be rebuilt in a trace.

    Not where an attribute or a hook refers to another part of the tree, and so has to be carried
    over, or is a container of containers; where classes have memory layouts or a `train` of their
    own; or where modules are dependent ones already (what `bind` returns is compiled as any other
    module).
    """
    is_ordinary = plan.makers is None and not plan.trains
    rows = plan.rows
    if not is_ordinary or any(row.own_slots or row.dependents is not None for row in rows):
        return False
    tensors = [
        *plan.originals,
        *(b for row in rows for b in row.module.__dict__["_buffers"].values()),
    ]
    parts = {id(part): part for part in (*tensors, *(row.module for row in rows))}
    carry = Carrier(parts)
    for row in rows:
        state = row.module.__dict__
        for name in (*carried_names(state), *HOOK_TABLES):
            if name not in HOOK_TABLES and not _is_flat(state[name]):
                return False
            carry.attribute(name, state[name])
    return not carry.found


def _is_flat(value: Any) -> bool:
    """Whether a copy of it shares nothing that can be changed."""
    if isinstance(value, _MUTABLE) and type(value) not in _COPIED:
        return False
    items: list[Any] = []
    if isinstance(value, (*_COPIED, tuple)):
        container: Any = value
        items.extend(container.values() if hasattr(container, "values") else container)
    return not any(isinstance(item, _MUTABLE) for item in items)


def traced_instance(plan: Plan, params: Any, training: bool | None) -> DependentModule:
    """Make a new instance of the tree that uses `params`; see `metann.rebuild.build`.

    Raises:
        SubstitutionError: `params` do not fit.
    """
    paths = _paths(plan)
    weights, buffers = _told_apart(plan, paths, params)
    placed = weights if plan.order is None else [weights[number] for number in plan.order]
    made: list[Any] = [_new(kind) for kind in plan.kinds]
    clones: dict[Tensor, Tensor] = {}
    for row, path, instance in zip(plan.rows, paths, made):  # noqa: B905
        own: dict[str, Tensor | None] = {}
        for place, name in enumerate(row.weights):
            own[name] = placed[row.first + place]
        own.update(_copies(row.module, path, buffers, clones))
        _fill(row, instance, own, training)
        for name, child, number in row.children:
            # Never so while tracing; torch.compile traces anew when it comes to be so.
            if row.module.__dict__["_modules"].get(name) is not child:
                raise StalePlanError
            instance._modules[name] = made[number] if number >= 0 else None
    return cast(DependentModule, made[0])


def _paths(plan: Plan) -> list[str]:
    """The dotted path of each module."""
    paths: list[str | None] = [None for _ in plan.rows]
    paths[0] = ""
    for place, row in enumerate(plan.rows):
        for name, _, number in row.children:
            if number >= 0 and paths[number] is None:
                paths[number] = join(paths[place] or "", name)
    return [path or "" for path in paths]


def _told_apart(
    plan: Plan, paths: list[str], params: Any
) -> tuple[list[Tensor], Mapping[str, Tensor]]:
    """The weights in order, and the buffers by name that a mapping may have beside them."""
    names = plan.layout.names
    if not hasattr(params, "keys"):
        return _fitting(plan.layout, [*params], 0), {}
    known = [
        join(path, name)
        for row, path in zip(plan.rows, paths)  # noqa: B905
        for name, buffer in row.module.__dict__["_buffers"].items()
        if buffer is not None
    ]
    buffers = {name: params[name] for name in known if name in params}
    tensors = [params.get(name) for name in names]
    others = len(params) - len(buffers) - sum(name in params for name in names)
    for name, index in plan.layout.aliases.items():
        if name in params and (tensors[index] is None or tensors[index] is params[name]):
            tensors[index] = params[name]
            others -= 1
    return _fitting(plan.layout, tensors, others), buffers


def _fitting(layout: Layout, tensors: list[Any], others: int) -> list[Tensor]:
    fit = len(tensors) == len(layout.names) and others == 0
    for tensor, shape in zip(tensors, layout.shapes):  # noqa: B905
        fit = fit and isinstance(tensor, Tensor) and tensor.shape == shape
    if not fit:
        raise SubstitutionError(
            "the tensors do not fit, nothing was changed; call learner.functional(params, "
            "training, *args) outside of torch.compile to be told which ones and why"
        )
    return tensors


def _copies(
    module: nn.Module, path: str, given: Mapping[str, Tensor], clones: dict[Tensor, Tensor]
) -> dict[str, Tensor | None]:
    """Copies of the buffers of a module; one that is in two places stays one."""
    copies: dict[str, Tensor | None] = {}
    for name, buffer in module.__dict__["_buffers"].items():
        if buffer is not None and buffer not in clones:
            clones[buffer] = given.get(join(path, name), buffer).clone()
        copies[name] = None if buffer is None else clones[buffer]
    return copies


def _fill(row: Row, instance: Any, own: dict[str, Tensor | None], training: bool | None) -> None:
    """Give an instance the state of its original, with tables of its own."""
    state = row.module.__dict__
    for name, value in state.items():
        if name not in _OWN_TABLES and name not in row.computed:
            is_table = name in TORCH_TABLES or type(value) in _COPIED
            _set(instance, name, value.copy() if is_table else value)
    unused = [name for name, parameter in state["_parameters"].items() if parameter is None]
    _set(instance, "_parameters", dict.fromkeys(unused))
    _set(instance, "_buffers", own)
    _set(instance, "_modules", {})
    _set(instance, SLOTS, row.slots)
    _set(instance, "training", state["training"] if training is None else training)

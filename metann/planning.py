"""How to build a fresh instance of a module tree: looked up once, used in every call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate, chain
from types import FunctionType
from typing import Any, cast

from torch import Tensor, nn

from metann.convert import counterpart_for
from metann.filling import MAY_REFER, Fill, Row, make_fill
from metann.hooks import HOOK_TABLES
from metann.layout import Layout
from metann.module import DependentModule
from metann.parametrizing import tell_instances_apart
from metann.references import (
    TORCH_TABLES,
    Carrier,
    carried_names,
    computed_names,
    is_constant,
    names_of_holders,
)
from metann.slots import Slot, numbered, slots_of
from metann.tree import join, require_materialised, require_module, walk

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a class statement.


@dataclass(frozen=True)
class Plan:
    """How to build a tree; to be replaced when it has changed (`StalePlanError`).

    Attributes:
        kinds: the counterpart of each module, in the order of `named_modules()`,
        makers: how to get an empty instance of it; None if `object.__new__` does for all,
        rows: what is known of it,
        fills: and how to give it its state.
        layout: the weights, in the order of `named_parameters()`.
        sources: the table and name where the original keeps each of them,
        slots: and the slot of each.
        order: for each place of a weight, which weight goes there; None if each has one place.
        trains: some module overrides `train`, so that has to be called.
        flags: MAY_REFER if some module may refer to others.
        backward_hooks: the tables of backward hooks, which are seldom used.
    """

    kinds: tuple[type[DependentModule], ...]
    makers: tuple[Callable[[], Any], ...] | None
    rows: tuple[Row, ...]
    fills: tuple[Fill, ...]
    layout: Layout
    order: tuple[int, ...] | None
    sources: tuple[tuple[dict[str, Any], str], ...]
    slots: tuple[Slot, ...]
    trains: bool
    flags: int
    backward_hooks: tuple[dict[Any, Any], ...]

    @property
    def originals(self) -> list[Tensor | None]:
        """The weights of the original, as they are now; kept by nobody but the original."""
        return [table.get(name) for table, name in self.sources]

    def weights_hold(self) -> bool:
        """Whether the weights still have the shapes and kinds that were planned for.

        `Parameter.data` and `Module.to()` change them without changing the parameter. This is
        asked where it matters: before `params` are refused, and if kinds were mixed.
        """
        return all(map(Slot.fits, self.slots, self.originals))


def make_plan(module: nn.Module) -> Plan:
    """Look at a tree.

    Raises:
        ConversionError: a module in it has no counterpart.
        UninitializedModuleError: a lazy module in it has not seen data.
    """
    require_module(module)
    found = walk(module)
    modules = tuple(owner for _, owner in found)
    kinds = tuple(_kind_of(path, owner) for path, owner in found)
    numbers = {id(owner): number for number, owner in enumerate(modules)}
    _report_closures(found)
    made: dict[int, Slot] = {}
    weights = [[*_weights(owner, made)] for owner in modules]
    places = {
        join(path, name): (slot, (table, name))
        for (path, _), own in zip(found, weights, strict=True)
        for name, slot, table in own
    }
    layout = Layout.of({name: slot for name, (slot, _) in places.items()})
    index = numbered(slot for slot, _ in places.values())
    firsts = accumulate(map(len, weights), initial=0)
    classes = _Classes()
    rows = tuple(
        _row(owner, kind, numbers, {name: slot for name, slot, _ in own}, first, classes)
        for owner, kind, own, first in zip(modules, kinds, weights, firsts)  # noqa: B905
    )
    return Plan(
        kinds=kinds,
        makers=_makers(kinds),
        rows=rows,
        fills=tuple(map(make_fill, rows)),
        layout=layout,
        order=tuple(index[slot] for slot, _ in places.values()) if layout.aliases else None,
        sources=tuple(places[name][1] for name in layout.names),
        slots=tuple(index),
        trains=any(cast(Any, kind.train) is not nn.Module.train for kind in kinds),
        flags=MAY_REFER if any(row.may_refer for row in rows) else 0,
        backward_hooks=tuple(
            owner.__dict__[table]
            for owner in modules
            for table in ("_backward_hooks", "_backward_pre_hooks")
        ),
    )


def _report_closures(found: Sequence[tuple[str, nn.Module]]) -> None:
    """Say which functions and objects kept by the tree will go on using the original weights."""
    targets = {id(owner): owner for _, owner in found}
    carry = Carrier(targets)
    for path, owner in found:
        state = owner.__dict__
        hooks = (table for table in HOOK_TABLES if state[table])
        for name in (*carried_names(state), *hooks):
            carry.attribute(join(path, name), state[name])
        for name in names_of_holders(state, targets):
            what = f"a {type(state[name]).__name__}; let it be a module, or use a list"
            carry.report(what, join(path, name))


def _kind_of(path: str, module: nn.Module) -> type[DependentModule]:
    if not isinstance(module, DependentModule):
        return counterpart_for(path, module)
    require_materialised(path, module)
    tell_instances_apart(type(module))  # It may have been parametrized after its conversion.
    return type(module)


def _makers(kinds: Sequence[type]) -> tuple[Callable[[], Any], ...] | None:
    """How to make an empty instance of each class without calling its own `__new__`.

    A module that is a dict, too, has to be made by `dict.__new__`.
    """
    builtin = [
        next(base for base in kind.__mro__ if not base.__flags__ & _HEAP_TYPE) for kind in kinds
    ]
    if all(base is object for base in builtin):
        return None
    pairs = zip(kinds, builtin, strict=True)
    return tuple(partial(cast(Any, base.__new__), kind) for kind, base in pairs)


def _weights(
    module: nn.Module, made: dict[int, Slot]
) -> Iterator[tuple[str, Slot, dict[str, Any]]]:
    """Name, slot and table of each weight; `made` holds the slots of parameters by identity."""
    state = module.__dict__
    for name, parameter in state["_parameters"].items():
        if parameter is not None:
            slot = made.setdefault(id(parameter), Slot.like(parameter))
            yield name, slot, state["_parameters"]
    for name, slot in slots_of(module).items():
        if slot.shape is not None:
            yield name, slot, state["_buffers"]


def _row(
    module: nn.Module,
    kind: type,
    numbers: dict[int, int],
    weights: dict[str, Slot],
    first: int,
    classes: _Classes,
) -> Row:
    """Look at one module; `first` is the number of the first of its weights."""
    state, dependents = module.__dict__, slots_of(module)
    return Row(
        module=module,
        parameters=dict(state["_parameters"]),
        weights=tuple(weights),
        first=first,
        children=tuple(
            (name, child, numbers[id(child)] if child is not None else -1)
            for name, child in state["_modules"].items()
        ),
        slots={**weights, **dependents},  # In the order of `parameters()`.
        may_refer=_may_refer(module),
        functions=tuple(n for n, v in state.items() if type(v) is FunctionType),
        own_slots=classes.own_slots(type(module)),
        computed=classes.computed_names(kind, tuple(state)),
        dependents=dependents if isinstance(module, DependentModule) else None,
    )


class _Classes:
    """What a class is asked once in a plan, and not once for each of its modules."""

    def __init__(self) -> None:
        # mypy does not know that a class can be hashed.
        own_slots: Any = cache(_own_slots)
        computed: Any = cache(computed_names)
        self.own_slots: Callable[[type], tuple[str, ...]] = own_slots
        self.computed_names: Callable[[type, tuple[str, ...]], tuple[str, ...]] = computed


def _own_slots(kind: type) -> tuple[str, ...]:
    """The names in the `__slots__` of a class and its bases."""
    declared = (vars(base).get("__slots__", ()) for base in kind.__mro__)
    names = chain.from_iterable([n] if isinstance(n, str) else n for n in declared)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _may_refer(module: nn.Module) -> bool:
    """Whether attributes have to be carried over; those of torch's layers are known not to."""
    if not _is_torch_layer(module):
        return True
    state = module.__dict__
    return not all(
        type(state[name]) is FunctionType or is_constant(name, state[name])
        for name in state.keys() - TORCH_TABLES
    )


def _is_torch_layer(module: nn.Module) -> bool:
    """Whether its attributes are known: a layer of torch, or the counterpart of one."""
    return type(module).__module__.startswith(("torch.nn.modules.", "metann.generated."))

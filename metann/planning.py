"""How to build a fresh instance of a module tree: looked up once, used in every call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from metann.convert import counterpart_for
from metann.hooks import HOOK_TABLES
from metann.layout import Layout
from metann.module import DependentModule
from metann.references import TORCH_TABLES, Carrier, carried_names, is_constant
from metann.slots import Slot, slots_of
from metann.snapshot import Snapshot
from metann.tree import join, require_materialised, require_module, walk

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a class statement.


class Row(NamedTuple):
    """How to build one module; a tuple, since a call goes through all of them.

    Attributes:
        state: the `__dict__` of the original, as it is at each call.
        weights: the names of its weights, in order.
        children: name and number of each submodule; -1 for one that is None.
        slots: its dependents, the weights among them.
        rest: what few modules need, None for most.
    """

    state: dict[str, Any]
    weights: tuple[str, ...]
    children: tuple[tuple[str, int], ...]
    slots: dict[str, Slot]
    rest: Rest | None


@dataclass(frozen=True)
class Rest:
    """What few modules need to be built.

    Attributes:
        module: the original.
        unused: its parameters that are None.
        has_buffers: it has buffers beside its weights.
        may_refer: its attributes may refer to other parts of the tree, or are to be copied.
        own_slots: the names in the `__slots__` of its class.
        was_dependent: it keeps notes of its own dependents, not meant for the instance.
    """

    module: nn.Module
    unused: tuple[str, ...]
    has_buffers: bool
    may_refer: bool
    own_slots: tuple[str, ...]
    was_dependent: bool

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        has_work = self.has_buffers or self.may_refer or self.was_dependent
        return has_work or bool(self.unused)


@dataclass(frozen=True)
class Plan:
    """How to build a tree. See `holds` for how long it may be used.

    Attributes:
        modules: the original's, in the order of `named_modules()`.
        types: the class of each,
        kinds: its counterpart,
        makers: how to get an empty instance of that; None if `object.__new__` does for all,
        rows: and how to fill it.
        layout: the weights, in the order of `named_parameters()`.
        sources: the table and name where the original keeps each of them,
        slots: and the slot of each.
        order: for each place of a weight, which weight goes there; None if each has one place.
        trains: some module overrides `train`, so that has to be called.
        refers: some module may refer to others.
    """

    modules: tuple[nn.Module, ...]
    types: list[type]
    kinds: tuple[type[DependentModule], ...]
    makers: tuple[Callable[[], Any], ...] | None
    rows: tuple[Row, ...]
    layout: Layout
    order: tuple[int, ...] | None
    sources: tuple[tuple[dict[str, Any], str], ...]
    slots: tuple[Slot, ...]
    trains: bool
    refers: bool
    snapshot: Snapshot

    @property
    def originals(self) -> list[Tensor | None]:
        """The weights of the original, as they are now; kept by nobody but the original."""
        return [table[name] for table, name in self.sources]

    def holds(self) -> bool:
        """Whether the original still has the structure that was planned for."""
        return (
            [*map(type, self.modules)] == self.types
            and self.snapshot.holds(self.modules[0])
            and (self.layout.uniform or self.weights_hold())
        )

    def weights_hold(self) -> bool:
        """Whether the weights still have the shapes and kinds that were planned for.

        `Parameter.data` and `Module.to()` change them without changing the parameter. This is
        asked where it matters: before `params` are refused.
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
    places = {
        join(path, name): (slot, (table, name))
        for path, owner in found
        for name, slot, table in _weights(owner, made)
    }
    layout = Layout.of({name: slot for name, (slot, _) in places.items()})
    rows = tuple(_row(owner, numbers, made) for owner in modules)
    index = {places[name][0]: number for number, name in enumerate(layout.names)}
    return Plan(
        modules=modules,
        types=[*map(type, modules)],
        kinds=kinds,
        makers=_makers(kinds),
        rows=rows,
        layout=layout,
        order=tuple(index[slot] for slot, _ in places.values()) if layout.aliases else None,
        sources=tuple(places[name][1] for name in layout.names),
        slots=tuple(index),
        trains=any(cast(Any, kind.train) is not nn.Module.train for kind in kinds),
        refers=any(row.rest and row.rest.may_refer for row in rows),
        snapshot=Snapshot.take(modules),
    )


def _report_closures(found: Sequence[tuple[str, nn.Module]]) -> None:
    """Say which functions kept by the tree will go on using the original weights."""
    carry = Carrier({id(owner): owner for _, owner in found})
    for path, owner in found:
        state = owner.__dict__
        for name in (*carried_names(state), *HOOK_TABLES):
            carry.attribute(join(path, name), state[name])


def _kind_of(path: str, module: nn.Module) -> type[DependentModule]:
    if not isinstance(module, DependentModule):
        return counterpart_for(path, module)
    require_materialised(path, module)
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


def _row(module: nn.Module, numbers: dict[int, int], made: dict[int, Slot]) -> Row:
    state = module.__dict__
    weights = {name: slot for name, slot, _ in _weights(module, made)}
    children = {
        name: numbers[id(child)] if child is not None else -1
        for name, child in state["_modules"].items()
    }
    rest = Rest(
        module=module,
        unused=tuple(name for name, value in state["_parameters"].items() if value is None),
        has_buffers=any(name not in weights for name in state["_buffers"]),
        may_refer=_may_refer(module),
        own_slots=_own_slots(module),
        was_dependent=isinstance(module, DependentModule),
    )
    slots = {**slots_of(module), **weights}
    needed = rest if rest.is_needed else None
    return Row(state, tuple(weights), tuple(children.items()), slots, needed)


def _own_slots(module: nn.Module) -> tuple[str, ...]:
    """The names in the `__slots__` of its class and their bases."""
    declared = (vars(kind).get("__slots__", ()) for kind in type(module).__mro__)
    names = chain.from_iterable([n] if isinstance(n, str) else n for n in declared)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _may_refer(module: nn.Module) -> bool:
    """Whether attributes have to be carried over; those of torch's layers are known not to."""
    if not _is_torch_layer(module):
        return True
    attributes = module.__dict__.items()
    return not all(name in TORCH_TABLES or is_constant(name, value) for name, value in attributes)


def _is_torch_layer(module: nn.Module) -> bool:
    """Whether its attributes are known: a layer of torch, or the counterpart of one."""
    return type(module).__module__.startswith(("torch.nn.modules.", "metann.generated."))

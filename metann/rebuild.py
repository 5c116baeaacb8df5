"""Building a fresh instance of a module tree around given weights.

The tree is looked at once and made into a `Plan`; a call then copies each module's `__dict__` and
fills in weights and children. No tensor storage but that of buffers is copied, nothing refers back
to the original, and two instances never share a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from metann.convert import counterpart_for
from metann.hooks import FORWARD_HOOK_TABLES, HOOK_TABLES, OWNS_HOOKS, own_hooks
from metann.module import DependentModule
from metann.places import REMEMBERED
from metann.references import Carrier, carried_names, is_constant, warn_of_closures
from metann.slots import SLOTS, Layout, Slot, slots_of
from metann.snapshot import Snapshot
from metann.tree import join, require_materialised, walk

_new = object.__new__
_set = object.__setattr__


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
        own_slots: names from the `__slots__` of its class.
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
        return has_work or bool(self.unused or self.own_slots)


@dataclass(frozen=True)
class Plan:
    """How to build a tree. See `holds` for how long it may be used.

    Attributes:
        modules: the original's, in the order of `named_modules()`.
        types: the class of each,
        kinds: its counterpart,
        rows: and how to build it.
        layout: the weights, in the order of `named_parameters()`.
        order: for each place of a weight, which weight goes there; None if each has one place.
        hook_tables: those that a call looks into; they may hold methods of the model.
        trains: some module overrides `train`, so that has to be called.
        refers: some module may refer to others, or has `__slots__`.
    """

    modules: tuple[nn.Module, ...]
    types: list[type]
    kinds: tuple[type[DependentModule], ...]
    rows: tuple[Row, ...]
    layout: Layout
    order: tuple[int, ...] | None
    originals: tuple[Tensor | None, ...]
    hook_tables: tuple[dict[Any, Any], ...]
    trains: bool
    refers: bool
    snapshot: Snapshot

    def holds(self) -> bool:
        """Whether the original still has the structure that was planned for."""
        return [*map(type, self.modules)] == self.types and self.snapshot.holds(self.modules[0])

    def holds_exactly(self) -> bool:
        """Whether nothing of that structure, not even a name, has changed."""
        return self.holds() and self.snapshot.holds_exactly(self.modules[0])


def make_plan(module: nn.Module) -> Plan:
    """Look at a tree.

    Raises:
        ConversionError: a module in it has no counterpart.
        UninitializedModuleError: a lazy module in it has not seen data.
    """
    found = walk(module)
    modules = tuple(owner for _, owner in found)
    kinds = tuple(_kind_of(path, owner) for path, owner in found)
    numbers = {id(owner): number for number, owner in enumerate(modules)}
    for path, owner in found:
        warn_of_closures(path, owner.__dict__, numbers)
    made: dict[int, Slot] = {}
    slots = {
        join(path, name): (slot, value)
        for path, owner in found
        for name, slot, value in _weights(owner, made)
    }
    layout = Layout.of({name: slot for name, (slot, _) in slots.items()})
    rows = tuple(_row(owner, numbers, made) for owner in modules)
    index = {slots[name][0]: number for number, name in enumerate(layout.names)}
    return Plan(
        modules=modules,
        types=[*map(type, modules)],
        kinds=kinds,
        rows=rows,
        layout=layout,
        order=tuple(index[slot] for slot, _ in slots.values()) if layout.aliases else None,
        originals=tuple(slots[name][1] for name in layout.names),
        hook_tables=tuple(o.__dict__[table] for o in modules for table in FORWARD_HOOK_TABLES),
        trains=any(cast(Any, kind.train) is not nn.Module.train for kind in kinds),
        refers=any(row.rest and (row.rest.may_refer or row.rest.own_slots) for row in rows),
        snapshot=Snapshot.take(modules),
    )


def _kind_of(path: str, module: nn.Module) -> type[DependentModule]:
    if not isinstance(module, DependentModule):
        return counterpart_for(path, module)
    require_materialised(path, module)
    return type(module)


def _weights(module: nn.Module, made: dict[int, Slot]) -> Iterator[tuple[str, Slot, Tensor | None]]:
    """Name, slot and value of each weight; `made` holds the slots of parameters by identity."""
    for name, parameter in module.__dict__["_parameters"].items():
        if parameter is not None:
            yield name, made.setdefault(id(parameter), Slot.like(parameter)), parameter
    for name, slot in slots_of(module).items():
        if slot.shape is not None:
            yield name, slot, module.__dict__["_buffers"][name]


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
    """The names from `__slots__` that have a value."""
    declared = (vars(kind).get("__slots__", ()) for kind in type(module).__mro__)
    names = chain.from_iterable([n] if isinstance(n, str) else n for n in declared)
    return tuple(n for n in names if n not in ("__dict__", "__weakref__") and hasattr(module, n))


def _may_refer(module: nn.Module) -> bool:
    """Whether attributes have to be carried over; those of torch's layers are known not to."""
    if not _is_torch_layer(module):
        return True
    state = module.__dict__
    return any(not is_constant(state[name]) for name in carried_names(state) if name != SLOTS)


def _is_torch_layer(module: nn.Module) -> bool:
    """Whether its attributes are known: a layer of torch, or the counterpart of one."""
    return type(module).__module__.startswith(("torch.nn.modules.", "metann.generated."))


def build(
    plan: Plan, weights: Sequence[Tensor | None], training: bool | None, lasting: bool
) -> DependentModule:
    """Make a new instance of the tree that uses `weights`, given in the order of the layout.

    Args:
        plan: for the tree; it must hold.
        weights: one a weight.
        training: the mode of every module; None for that of the original's.
        lasting: the instance is to be kept, so it gets hook tables of its own now.
    """
    placed = weights if plan.order is None else [weights[number] for number in plan.order]
    supply = iter(placed)
    made: list[Any] = [*map(_new, plan.kinds)]
    clones: dict[int, Tensor] = {}
    for (original, names, children, slots, rest), instance in zip(plan.rows, made, strict=True):
        state = original.copy()
        # `supply` gives what `names` ask for, and keeps the rest for the next module.
        state["_buffers"] = dict(zip(names, supply)) if names else {}  # noqa: B905
        state["_parameters"] = {}
        state["_modules"] = _submodules(children, made) if children else {}
        state[SLOTS] = slots
        if training is not None:
            state["training"] = training
        if rest is not None:
            _add_rest(rest, state, clones)
        _set(instance, "__dict__", state)
    _finish(plan, weights, made, lasting)
    root: DependentModule = made[0]
    if plan.trains and training is not None:
        root.train(training)
    return root


def _submodules(
    children: tuple[tuple[str, int], ...], made: Sequence[nn.Module]
) -> dict[str, nn.Module | None]:
    """Example: `(("0", 1), ("1", -1))` -> `{"0": made[1], "1": None}`"""
    return {name: made[number] if number >= 0 else None for name, number in children}


def _add_rest(rest: Rest, state: dict[str, Any], clones: dict[int, Tensor]) -> None:
    """Add buffers, and parameters that are None, to the state of a new instance."""
    if rest.was_dependent:
        state.pop(REMEMBERED, None)
        state.pop(OWNS_HOOKS, None)
    state["_parameters"].update(dict.fromkeys(rest.unused))
    if rest.has_buffers:
        state["_buffers"].update(_cloned(rest.module, state, clones))


def _cloned(
    module: nn.Module, state: dict[str, Any], clones: dict[int, Tensor]
) -> Iterator[tuple[str, Tensor | None]]:
    """Copies of the buffers beside the weights; one that is in two places stays one."""
    for name, value in module.__dict__["_buffers"].items():
        if name in state["_buffers"]:
            continue
        if value is not None and id(value) not in clones:
            clones[id(value)] = value.clone()
        yield name, None if value is None else clones[id(value)]


def _finish(
    plan: Plan, weights: Sequence[Tensor | None], made: Sequence[nn.Module], lasting: bool
) -> None:
    """Carry over what refers to the original: attributes, `__slots__`, hooks."""
    hooked = lasting or any(plan.hook_tables)
    if hooked or plan.refers:
        carry = Carrier(_targets(plan, weights, made))
        for row, instance in zip(plan.rows, made, strict=True):
            if row.rest is not None:
                _carry_over(row.rest, instance, carry)
            if hooked:
                _carry_hooks(instance, carry)
    if lasting:
        for instance in made:
            own_hooks(instance)


def _targets(
    plan: Plan, weights: Sequence[Tensor | None], made: Sequence[nn.Module]
) -> dict[int, Any]:
    """What each module and weight of the original becomes, by identity."""
    targets: dict[int, Any] = dict(zip(map(id, plan.modules), made, strict=True))
    pairs = zip(plan.originals, weights, strict=True)
    targets.update((id(tensor), weight) for tensor, weight in pairs if tensor is not None)
    return targets


def _carry_over(rest: Rest, instance: nn.Module, carry: Carrier) -> None:
    state = instance.__dict__
    if rest.may_refer:
        for name in carried_names(state):
            if name != SLOTS:
                state[name] = carry(state[name])
    for name in rest.own_slots:
        _set(instance, name, carry(getattr(rest.module, name)))


def _carry_hooks(instance: nn.Module, carry: Carrier) -> None:
    """Let hooks that are methods of the model be methods of the instance."""
    state = instance.__dict__
    for table in HOOK_TABLES:
        if state[table]:
            state[table] = carry(state[table])

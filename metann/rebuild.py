"""Building a fresh instance of a module tree around given weights.

The tree is looked at once and made into a `Plan`; a call then copies each module's `__dict__` and
fills in weights and children. No tensor storage but that of buffers is copied, nothing refers back
to the original, and two instances never share a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from torch import Tensor, nn

from metann.hooks import FORWARD_HOOK_TABLES, HOOK_TABLES, OWNS_HOOKS, own_hooks
from metann.module import DependentModule
from metann.places import REMEMBERED
from metann.planning import Plan, Rest
from metann.references import Carrier, carried_names
from metann.slots import SLOTS

_new = object.__new__
_set = object.__setattr__
_hook_tables = itemgetter(*FORWARD_HOOK_TABLES)


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
    made: list[Any]
    made = [*map(_new, plan.kinds)] if plan.makers is None else [make() for make in plan.makers]
    clones: dict[int, Tensor] = {}
    hooked = lasting
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
        if any(_hook_tables(state)):
            hooked = True
        _set(instance, "__dict__", state)
    if hooked or plan.refers:
        _carry_over(plan, made, _targets(plan, weights, made, clones), hooked)
    if lasting:
        for instance in made:
            own_hooks(instance)
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
        # torch takes names out of this set when a buffer makes place for something else.
        state["_non_persistent_buffers_set"] = state["_non_persistent_buffers_set"].copy()
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


def _targets(
    plan: Plan,
    weights: Sequence[Tensor | None],
    made: Sequence[nn.Module],
    clones: Mapping[int, Tensor],
) -> dict[int, Any]:
    """What each module, weight and buffer of the original becomes, by identity."""
    targets: dict[int, Any] = {**clones, **dict(zip(map(id, plan.modules), made, strict=True))}
    pairs = zip(plan.originals, weights, strict=True)
    targets.update((id(tensor), weight) for tensor, weight in pairs if tensor is not None)
    return targets


def _carry_over(
    plan: Plan, made: Sequence[nn.Module], targets: Mapping[int, Any], hooked: bool
) -> None:
    """Carry over what refers to the original: attributes, `__slots__`, items, hooks."""
    carry = Carrier(targets)
    for row, instance in zip(plan.rows, made, strict=True):
        if row.rest is not None and row.rest.may_refer:
            _carry_attributes(row.rest, instance, carry)
        if hooked:
            _carry_hooks(instance, carry)


def _carry_attributes(rest: Rest, instance: nn.Module, carry: Carrier) -> None:
    state, original = instance.__dict__, rest.module
    for name in carried_names(state):
        state[name] = carry.attribute(name, state[name])
    for name in rest.own_slots:
        if hasattr(original, name):
            _set(instance, name, carry.attribute(name, getattr(original, name)))
    if isinstance(original, dict):
        items = cast("dict[Any, Any]", original)
        dict.update(cast(Any, instance), {carry(k): carry(v) for k, v in dict.items(items)})
    elif isinstance(original, list):
        list.extend(cast(Any, instance), map(carry, list.__iter__(cast("list[Any]", original))))


def _carry_hooks(instance: nn.Module, carry: Carrier) -> None:
    """Let hooks that are methods of the model be methods of the instance."""
    state = instance.__dict__
    for table in HOOK_TABLES:
        if state[table]:
            state[table] = carry.attribute(table, state[table])

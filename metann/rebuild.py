"""Building a fresh instance of a module tree around given weights.

The tree is looked at once and made into a `Plan`; a call then copies each module's `__dict__` and
fills in weights and children. No tensor storage but that of buffers is copied, nothing refers back
to the original, and two instances never share a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from metann.filling import Row, StalePlanError
from metann.hooks import HOOK_TABLES, own_hooks
from metann.module import DependentModule
from metann.planning import Plan
from metann.references import Carrier, carried_names
from metann.slots import Slot, set_slots, slots_of

_new = object.__new__
_set = object.__setattr__


def build(
    plan: Plan,
    weights: Sequence[Tensor | None],
    training: bool | None,
    lasting: bool,
    buffers: Mapping[int, Tensor] | None = None,
) -> DependentModule:
    """Make a new instance of the tree that uses `weights`, given in the order of the layout.

    Args:
        plan: for the tree.
        weights: one a weight.
        training: the mode of every module; None for that of the original's.
        lasting: the instance is to be kept, so it gets hook tables of its own now.
        buffers: what it uses in place of copies of the original's, by the identity of those.

    Raises:
        StalePlanError: the tree is not what was planned for.
    """
    placed = weights if plan.order is None else [weights[number] for number in plan.order]
    makers = plan.makers
    made: list[Any] = [*map(_new, plan.kinds)] if makers is None else [make() for make in makers]
    clones: dict[int, Tensor] = {**buffers} if buffers else {}
    flags = plan.flags
    for_children = [*made, None]
    for fill, instance in zip(plan.fills, made):  # noqa: B905
        flags |= fill(instance, placed, for_children, training, clones)
    if flags or lasting or any(plan.backward_hooks):
        carry = Carrier(_targets(plan, weights, made, clones))
        _carry_over(plan, made, carry)
    if lasting:
        _make_independent(made)
    root: DependentModule = made[0]
    if plan.trains and training is not None:
        root.train(training)
    return root


def _make_independent(made: Sequence[nn.Module]) -> None:
    """Give lasting instances hook tables and slots of their own.

    Weights of two instances of one plan are not tied, also when both become part of one tree.
    """
    fresh: dict[Slot, Slot] = {}
    for instance in made:
        own_hooks(instance)
        own: dict[str, Slot] = {}
        for name, slot in slots_of(instance).items():
            if slot not in fresh:
                fresh[slot] = replace(slot)
            own[name] = fresh[slot]
        set_slots(instance, own)


def is_stale(plan: Plan) -> bool:
    """Whether the tree, or the shape or kind of a weight, is not what was planned for."""
    if not plan.weights_hold():
        return True
    try:
        build(plan, plan.originals, None, lasting=False)
    except StalePlanError:
        return True
    return False


def _targets(
    plan: Plan,
    weights: Sequence[Tensor | None],
    made: Sequence[nn.Module],
    clones: Mapping[int, Tensor],
) -> dict[int, Any]:
    """What each module, weight and buffer of the original becomes, by identity."""
    targets: dict[int, Any] = {**clones}
    targets.update((id(row.module), own) for row, own in zip(plan.rows, made, strict=True))
    pairs = zip(plan.originals, weights, strict=True)
    targets.update((id(tensor), weight) for tensor, weight in pairs if tensor is not None)
    return targets


def _carry_over(plan: Plan, made: Sequence[nn.Module], carry: Carrier) -> None:
    """Carry over what refers to the original: attributes, `__slots__`, items, hooks."""
    for row, instance in zip(plan.rows, made, strict=True):
        if row.may_refer or row.functions:
            _carry_attributes(row, instance, carry)
        _carry_hooks(instance, carry)


def _carry_attributes(row: Row, instance: nn.Module, carry: Carrier) -> None:
    state, original = instance.__dict__, row.module
    for name in carried_names(state):
        state[name] = carry.attribute(name, state[name])
    for name in row.own_slots:
        if hasattr(original, name):
            _set(instance, name, carry.attribute(name, getattr(original, name)))
    _carry_items(original, instance, carry)


def _carry_items(original: Any, instance: Any, carry: Carrier) -> None:
    """Fill an instance of a module that is a dict or a list, too, past its own methods."""
    kinds: tuple[tuple[Any, str], ...] = ((dict, "update"), (list, "extend"))
    for kind, method in kinds:
        if issubclass(type(original), kind):
            getattr(kind, method)(instance, carry(kind(original)))


def _carry_hooks(instance: nn.Module, carry: Carrier) -> None:
    """Let hooks that are methods of the model be methods of the instance."""
    state = instance.__dict__
    for table in HOOK_TABLES:
        if state[table]:
            state[table] = carry.attribute(table, state[table])

"""Giving an empty instance of a module its state: what a functional call spends its time on.

Each module of a plan gets a function made for its shape. Most layers have no submodules and nothing
but a weight and a bias, or no weights at all: these have functions of their own, since taking the
general way through them would take twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_, itemgetter
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from metann.buffers import copied
from metann.hooks import OWNS_HOOKS
from metann.places import REMEMBERED
from metann.slots import NO_SLOTS, SLOTS, Slot

_set_state = object.__setattr__
HAS_HOOKS, MAY_REFER = 1, 2
Weights = Sequence[Tensor | None]
Made = Sequence[nn.Module | None]
# Takes the instance, all weights, all instances with None as the last, the mode, and the copies
# made of buffers; returns flags.
Fill = Callable[[nn.Module, Weights, Made, bool | None, dict[int, Tensor]], int]


class StalePlanError(Exception):
    """The tree has changed since it was planned for; never leaves metann."""


@dataclass(frozen=True)
class Row:
    """How to build one module.

    Attributes:
        module: the original.
        parameters: its parameters, by name.
        weights: the names of its weights, in order: parameters in use, then dependents.
        first: which of all weights is its first.
        children: name, original and number of each submodule; -1, the last, for one that is None.
        slots: its dependents, the weights among them.
        may_refer: its attributes may refer to other parts of the tree, or are to be copied.
        functions: the attributes that are functions, as the activation of torch's Transformer
            layers; only what is put in their place may refer to something.
        own_slots: the names in the `__slots__` of its class.
        computed: the attributes that the counterpart computes when they are read.
        dependents: those that it has itself, None if it is no dependent module; such a module
            keeps notes of them that are not meant for the instance.
    """

    module: nn.Module
    parameters: Mapping[str, nn.Parameter | None]
    weights: tuple[str, ...]
    first: int
    children: tuple[tuple[str, nn.Module | None, int], ...]
    slots: dict[str, Slot]
    may_refer: bool
    functions: tuple[str, ...]
    own_slots: tuple[str, ...]
    computed: tuple[str, ...]
    dependents: Mapping[str, Slot] | None

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but weights or submodules, and functions beside the latter."""
        is_leaf_with_more = self.functions and not self.children
        has_more = is_leaf_with_more or self.module.__dict__["_buffers"]
        is_used = all(parameter is not None for parameter in self.parameters.values())
        return is_used and not has_more and not self.may_refer and self.dependents is None


def make_fill(row: Row) -> Fill:
    """The function that builds a module like this; it raises `StalePlanError` if it changed."""
    if row.is_plain and not row.weights:
        return _fill_container(row) if row.children else _fill_without_weights(row)
    if row.is_plain and len(row.weights) == 2 and not row.children:
        return _fill_two_weights(row)
    return _fill_any(row)


def _fill_without_weights(row: Row) -> Fill:
    module, kind, original = row.module, type(row.module), row.module.__dict__
    size, slots = len(original), row.slots

    def fill(
        instance: nn.Module, _weights: object, _made: object, training: bool | None, _clones: object
    ) -> int:
        state = original.copy()
        if (
            type(module) is not kind
            or len(state) != size
            or state["_parameters"]
            or state["_buffers"]
            or state["_modules"]
        ):
            raise StalePlanError
        state["_parameters"] = {}
        state["_buffers"] = {}
        state["_modules"] = {}
        state[SLOTS] = slots
        if training is not None:
            state["training"] = training
        _set_state(instance, "__dict__", state)
        return HAS_HOOKS if state["_forward_hooks"] or state["_forward_pre_hooks"] else 0

    return fill


def _fill_container(row: Row) -> Fill:
    module, kind, original = row.module, type(row.module), row.module.__dict__
    size, slots = len(original), row.slots
    names, children = [name for name, _, _ in row.children], [child for _, child, _ in row.children]
    pick, has_functions = _picker(row), bool(row.functions)

    def fill(
        instance: nn.Module, _weights: object, made: Made, training: bool | None, _clones: object
    ) -> int:
        state = original.copy()
        submodules = state["_modules"]
        if (
            type(module) is not kind
            or len(state) != size
            or state["_parameters"]
            or state["_buffers"]
            or [*submodules] != names
            or not all(map(is_, submodules.values(), children))
        ):
            raise StalePlanError
        state["_parameters"] = {}
        state["_buffers"] = {}
        state["_modules"] = dict(zip(names, pick(made)))  # noqa: B905
        state[SLOTS] = slots
        if training is not None:
            state["training"] = training
        _set_state(instance, "__dict__", state)
        flags = HAS_HOOKS if state["_forward_hooks"] or state["_forward_pre_hooks"] else 0
        return flags | _function_replaced(row, state) if has_functions else flags

    return fill


def _picker(row: Row) -> Callable[[Made], tuple[nn.Module | None, ...]]:
    """What picks the submodules of a module out of all instances, and something after them.

    With a single number `itemgetter` would not give a tuple.
    """
    return itemgetter(*(number for _, _, number in row.children), -1, -1)


def _fill_two_weights(row: Row) -> Fill:
    module, kind, original = row.module, type(row.module), row.module.__dict__
    size, slots, first, names = len(original), row.slots, row.first, [*row.parameters]
    (name, other_name), (parameter, other) = row.weights, row.parameters.values()

    def fill(
        instance: nn.Module, weights: Weights, _made: object, training: bool | None, _clones: object
    ) -> int:
        state = original.copy()
        table = state["_parameters"]
        if (
            type(module) is not kind
            or len(state) != size
            or [*table] != names
            or table[name] is not parameter
            or table[other_name] is not other
            or state["_buffers"]
            or state["_modules"]
        ):
            raise StalePlanError
        state["_parameters"] = {}
        state["_buffers"] = {name: weights[first], other_name: weights[first + 1]}
        state["_modules"] = {}
        state[SLOTS] = slots
        if training is not None:
            state["training"] = training
        _set_state(instance, "__dict__", state)
        return HAS_HOOKS if state["_forward_hooks"] or state["_forward_pre_hooks"] else 0

    return fill


def _fill_any(row: Row) -> Fill:
    module, kind, original = row.module, type(row.module), row.module.__dict__
    size, slots, first, last = len(original), row.slots, row.first, row.first + len(row.weights)
    names, parameters = [*row.parameters], [*row.parameters.values()]
    unused = dict.fromkeys(name for name, p in row.parameters.items() if p is None)
    child_names = [name for name, _, _ in row.children]
    children = [child for _, child, _ in row.children]
    pick = _picker(row)
    own_weights = row.weights

    def fill(
        instance: nn.Module,
        weights: Weights,
        made: Made,
        training: bool | None,
        clones: dict[int, Tensor],
    ) -> int:
        state = original.copy()
        table, submodules = state["_parameters"], state["_modules"]
        if (
            type(module) is not kind
            or len(state) != size
            or [*table] != names
            or [*submodules] != child_names
            or (names and not all(map(is_, table.values(), parameters)))
            or (children and not all(map(is_, submodules.values(), children)))
        ):
            raise StalePlanError
        own: dict[str, Tensor | None] = {}
        if own_weights:
            own.update(zip(own_weights, weights[first:last], strict=True))
        if state["_buffers"]:
            _add_buffers(own, state, clones)
        state["_parameters"] = unused.copy() if unused else {}
        state["_buffers"] = own
        state["_modules"] = dict(zip(child_names, pick(made))) if children else {}  # noqa: B905
        state[SLOTS] = slots
        if training is not None:
            state["training"] = training
        if row.dependents is not None:
            _drop_notes(original, state, row.dependents)
        for name in row.computed:
            del state[name]
        _set_state(instance, "__dict__", state)
        has_hooks = state["_forward_hooks"] or state["_forward_pre_hooks"]
        return (HAS_HOOKS if has_hooks else 0) | (
            _function_replaced(row, state) if row.functions else 0
        )

    return fill


def _add_buffers(
    own: dict[str, Tensor | None], state: dict[str, Any], clones: dict[int, Tensor]
) -> None:
    """Copy the buffers beside the weights; one that is in two places stays one."""
    # torch takes names out of this set when a buffer makes place for something else.
    state["_non_persistent_buffers_set"] = state["_non_persistent_buffers_set"].copy()
    for name, value in state["_buffers"].items():
        if name in own:
            continue
        if value is not None and id(value) not in clones:
            clones[id(value)] = copied(name, value)
        own[name] = None if value is None else clones[id(value)]


def _drop_notes(
    original: dict[str, Any], state: dict[str, Any], dependents: Mapping[str, Slot]
) -> None:
    """Take away what a dependent module remembers of itself."""
    if original.get(SLOTS, NO_SLOTS) is not dependents:
        raise StalePlanError
    state.pop(REMEMBERED, None)
    state.pop(OWNS_HOOKS, None)


def _function_replaced(row: Row, state: dict[str, Any]) -> int:
    """Whether something that may refer to another module has taken the place of a function."""
    for name in row.functions:
        if type(state.get(name)) is not FunctionType:
            return MAY_REFER
    return 0

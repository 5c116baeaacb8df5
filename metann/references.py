"""What a module refers to besides its tables, carried over to a new instance of it.

Plain attributes may hold submodules in a list, a weight in a dict, a method of the model, a weak
reference to its parent. In a rebuilt model these must mean the rebuilt parts.
"""

from __future__ import annotations

import functools
import logging
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any, cast

from torch import nn

from metann.hooks import HOOK_TABLES

logger = logging.getLogger(__name__)

_CONTAINERS = (list, tuple, dict, set, deque, OrderedDict, defaultdict)
_POINTERS = (MethodType, functools.partial, weakref.ref, nn.Parameter)
CARRIED = frozenset((*_CONTAINERS, *_POINTERS))
_TABLES = frozenset(
    (*HOOK_TABLES, "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
)
_NUMBERS = (int, float, str, bool, type(None))


def carried_names(state: Mapping[str, Any]) -> list[str]:
    """The attributes whose values have to be carried over: what is not shared as it is."""
    return [
        name
        for name, value in state.items()
        if (type(value) in CARRIED or isinstance(value, nn.Module)) and name not in _TABLES
    ]


def is_constant(value: object) -> bool:
    """Whether it is a tuple or list of plain values, as torch's layers keep for their options."""
    return type(value) in (tuple, list) and all(
        isinstance(item, _NUMBERS) for item in cast("list[object]", value)
    )


class Carrier:
    """Rebuilds values that refer to one tree so that they refer to another.

    Modules and weights of the first tree become those of the second; lists, dicts, sets and tuples
    are copied, so that a call that appends to them leaves the original alone; everything else is
    shared. An object met twice stays one object.
    """

    def __init__(self, targets: Mapping[int, Any]) -> None:
        self._targets = targets
        self._made: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        """The value to be used in the second tree."""
        if id(value) in self._targets:
            return self._targets[id(value)]
        build = _BUILDERS.get(value.__class__)
        if build is None:
            return value
        if id(value) not in self._made:
            self._made[id(value)] = build(self, value)
        return self._made[id(value)]


def _mapping(carry: Carrier, value: dict[Any, Any]) -> dict[Any, Any]:
    made = value.copy()  # Keeps the class, and the factory of a defaultdict.
    for key, item in value.items():
        made[key] = carry(item)
    return made


def _deque(carry: Carrier, value: deque[Any]) -> deque[Any]:
    return deque(map(carry, value), value.maxlen)


def _method(carry: Carrier, value: MethodType) -> MethodType:
    return MethodType(value.__func__, carry(value.__self__))


def _partial(carry: Carrier, value: functools.partial[Any]) -> functools.partial[Any]:
    keywords = {name: carry(item) for name, item in value.keywords.items()}
    return functools.partial(carry(value.func), *map(carry, value.args), **keywords)


def _weak(carry: Carrier, value: weakref.ref[Any]) -> weakref.ref[Any]:
    referent = value()
    target = carry(referent)
    return value if target is referent or target is None else weakref.ref(target)


_BUILDERS: Mapping[type, Callable[[Carrier, Any], Any]] = {
    list: lambda carry, value: [*map(carry, value)],
    tuple: lambda carry, value: tuple(map(carry, value)),
    set: lambda carry, value: {*map(carry, value)},
    dict: _mapping,
    OrderedDict: _mapping,
    defaultdict: _mapping,
    deque: _deque,
    MethodType: _method,
    functools.partial: _partial,
    weakref.ref: _weak,
}


def warn_of_closures(path: str, state: Mapping[str, Any], tree: Mapping[int, Any]) -> None:
    """Say which functions kept by a module go on meaning the original after a rebuild."""
    for name, value in state.items():
        if isinstance(value, FunctionType) and _closes_over(value, tree):
            logger.warning(
                "%s.%s is a function that refers to the original model by a closure; in a "
                "functional call it still uses the original weights. Make it a method instead.",
                path or "the model",
                name,
            )


def _closes_over(function: FunctionType, tree: Mapping[int, Any]) -> bool:
    cells = function.__closure__ or ()
    found = [cell.cell_contents for cell in cells if cell != _EMPTY]
    return any(id(item) in tree for item in (*found, *(function.__defaults__ or ())))


def _empty_cell() -> Any:
    from types import CellType

    return CellType()


_EMPTY = _empty_cell()

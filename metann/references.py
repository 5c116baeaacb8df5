"""What a module refers to besides its tables, carried over to a new instance of it.

Plain attributes may hold submodules in a list, a weight in a dict, a method of the model, a weak
reference to its parent. In a rebuilt model these must mean the rebuilt parts.
"""

from __future__ import annotations

import copy
import functools
import logging
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from operator import is_
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.modules.module import _WrappedHook  # pyright: ignore[reportPrivateUsage]

from metann.hooks import HOOK_TABLES
from metann.slots import SLOTS

logger: logging.Logger = logging.getLogger(__name__)

_PROXIES = (weakref.ProxyType, weakref.CallableProxyType)
_CONTAINERS = (list, tuple, dict, set, frozenset, deque, SimpleNamespace)
_POINTERS = (MethodType, functools.partial, weakref.ref, FunctionType, Tensor, nn.Module)
_CARRIED = (*_CONTAINERS, *_POINTERS, *_PROXIES)
_NO_HOLDERS = (*_CARRIED, type)
_PLAIN = frozenset((int, float, str, bool, type(None)))
_TABLE_NAMES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", SLOTS)
TORCH_TABLES = frozenset((*HOOK_TABLES, *_TABLE_NAMES))


def carried_names(state: Mapping[str, Any]) -> list[str]:
    """The attributes whose values have to be carried over: what is not shared as it is."""
    return [
        name
        for name, value in state.items()
        if name not in TORCH_TABLES and type(value) not in _PLAIN and isinstance(value, _CARRIED)
    ]


def names_of_holders(state: Mapping[str, Any], targets: Mapping[int, object]) -> list[str]:
    """The attributes that are objects of other classes and hold a module of the tree."""
    return [
        name
        for name, value in state.items()
        if type(value) not in _PLAIN and name not in TORCH_TABLES
        if not isinstance(value, _NO_HOLDERS)
        if not targets.keys().isdisjoint(map(id, getattr(value, "__dict__", {}).values()))
    ]


def computed_names(kind: type, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of some attributes that `kind` computes when read, so that no value need be kept.

    Example: the list of weights of `nn.LSTM`, which `metann.layers.recurrent.FlatWeights` computes
    """
    return tuple(name for name in names if isinstance(getattr(kind, name, None), property))


def is_constant(name: str, value: object) -> bool:
    """Whether an attribute of one of torch's layers never refers to anything, nor changes.

    These are options, and the lists of names and numbers that torch keeps under private names.
    """
    kind: type = value.__class__
    items = cast("list[object]", value)
    if kind is tuple or (kind is list and name.startswith("_")):
        return all(is_constant(name, item) for item in items)
    return kind in _PLAIN


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    kind: Any = value.__class__
    if isinstance(value, Tensor):
        yield value
    elif issubclass(kind, (list, tuple)):
        yield from chain.from_iterable(map(tensors_in, value))
    elif issubclass(kind, dict):
        yield from chain.from_iterable(map(tensors_in, value.values()))


class Carrier:
    """Rebuilds values that refer to one tree so that they refer to another.

    Modules and weights of the first tree become those of the second. Containers are copied, so
    that a call that appends to a list leaves the original alone; everything else is shared. An
    object met twice stays one object.

    Args:
        targets: what each module and weight of the first tree becomes, by identity.

    Attributes:
        found: some value referred to one of them.
    """

    def __init__(self, targets: Mapping[int, Any]) -> None:
        self.found: bool = False
        self._targets = targets
        # With what each was made from: an id is its own only as long as the object lives.
        self._made: dict[int, tuple[object, Any]] = {}
        self._name = ""

    def attribute(self, name: str, value: Any) -> Any:
        """The value of an attribute or a hook table, to be used in the second tree."""
        self._name = name
        return self(value)

    def __call__(self, value: Any) -> Any:
        """Any value, to be used in the second tree."""
        if id(value) in self._targets:
            self.found = True
            return self._targets[id(value)]
        if id(value) in self._made:
            return self._made[id(value)][1]
        for kind, build in _BUILDERS:
            if isinstance(value, kind):
                return self.started(value, build(self, value))
        return value

    def started(self, value: object, made: Any) -> Any:
        """Take note of a copy before it is filled: a container may hold itself."""
        self._made[id(value)] = value, made
        return made

    def check_closure(self, function: FunctionType) -> FunctionType:
        """Say so, once, if a function goes on meaning the original after a rebuild."""
        held = map(id, _closed_over(function))
        if function not in _reported and not self._targets.keys().isdisjoint(held):
            _reported.add(function)
            self.report("a function with a closure or a default; make it a method instead")
        return function

    def report(self, what: str, name: str = "") -> None:
        """Warn of what an attribute, the one at hand or `name`, holds that means the original."""
        logger.warning(
            "%s refers to the original model, and still uses the original weights in a functional "
            "call: it holds %s.",
            name or self._name,
            what,
        )


_reported: weakref.WeakSet[FunctionType] = weakref.WeakSet()


def _closed_over(function: FunctionType) -> list[Any]:
    """What a function holds in its closure and its defaults."""
    found = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # It may be empty as yet.
            found.append(cell.cell_contents)
    return found


def _list(carry: Carrier, value: Any) -> Any:
    if type(value) not in (list, deque):
        return _relative(carry, value, [*map(carry, value)])
    made = carry.started(value, copy.copy(value))  # Keeps `maxlen` of a deque.
    for index, item in enumerate(value):
        made[index] = carry(item)
    return made


def _tuple(carry: Carrier, value: Any) -> Any:
    items = [*map(carry, value)]
    return tuple(items) if type(value) is tuple else _relative(carry, value, items)


def _set(carry: Carrier, value: Any) -> Any:
    items = [*map(carry, value)]
    return type(value)(items) if type(value) in (set, frozenset) else _relative(carry, value, items)


def _mapping(carry: Carrier, value: Any) -> Any:
    if type(value) not in (dict, OrderedDict, defaultdict):
        pairs = [(key, item) for key, item in value.items()]
        return _relative(carry, value, [carry(part) for pair in pairs for part in pair])
    made = carry.started(value, copy.copy(value))  # Keeps a default factory.
    made.clear()
    for key, item in value.items():
        made[carry(key)] = carry(item)
    return made


def _relative(carry: Carrier, value: Any, items: list[Any]) -> Any:
    """A container of a class of the user's: shared, unless it refers to the tree.

    Args:
        carry: knows the tree.
        value: the container.
        items: what its items (the keys and values of a mapping) become.
    """
    is_mapping = hasattr(value, "keys")
    before: list[Any] = [*chain.from_iterable(value.items())] if is_mapping else [*value]
    if all(map(is_, before, items)):
        return value
    try:
        if not hasattr(value, "clear"):  # A tuple, or a frozen set.
            make: Any = getattr(value, "_make", value.__class__)
            return make(items)
        made = copy.copy(value)
        made.clear()
        pairs = zip(items[::2], items[1::2], strict=True)
        fill = made.extend if hasattr(made, "extend") else made.update
        fill(pairs if is_mapping else items)
    except Exception:  # noqa: BLE001  # The class is not ours: anything may be raised.
        carry.report(f"a {type(value).__name__} that cannot be copied")
        return value
    return made


def _namespace(carry: Carrier, value: SimpleNamespace) -> SimpleNamespace:
    made: SimpleNamespace = carry.started(value, SimpleNamespace())
    vars(made).update((name, carry(item)) for name, item in vars(value).items())
    return made


def _method(carry: Carrier, value: MethodType) -> MethodType:
    return MethodType(carry(value.__func__), carry(value.__self__))


def _partial(carry: Carrier, value: functools.partial[Any]) -> functools.partial[Any]:
    keywords = {name: carry(item) for name, item in value.keywords.items()}
    return functools.partial(carry(value.func), *map(carry, value.args), **keywords)


def _weak_method(carry: Carrier, value: weakref.WeakMethod[Any]) -> Any:
    method = value()
    return value if method is None else weakref.WeakMethod(_method(carry, method))


def _weak(carry: Carrier, value: weakref.ref[Any]) -> weakref.ref[Any]:
    referent = value()
    target = carry(referent) if referent is not None else None
    return value if target is referent or target is None else weakref.ref(target)


def _proxy(carry: Carrier, value: Any) -> Any:
    try:
        referent = value.__repr__.__self__  # The proxy itself never shows what it stands for.
    except ReferenceError:
        return value
    target = carry(referent)
    return value if target is referent else weakref.proxy(target)


def _wrapped_hook(carry: Carrier, value: Any) -> Any:
    """A hook that torch gives its module to; it knows the module by a weak reference."""
    made = copy.copy(value)
    made.hook = carry(value.hook)
    if value.with_module:
        made.module = _weak(carry, value.module)
    return made


Builder = Callable[[Carrier, Any], Any]
# The first kind that fits is taken.
_BUILDERS: tuple[tuple[type | tuple[type, ...], Builder], ...] = (
    (_PROXIES, _proxy),  # isinstance() takes a proxy for what it stands for.
    ((list, deque), _list),
    (tuple, _tuple),
    (dict, _mapping),
    ((set, frozenset), _set),
    (FunctionType, Carrier.check_closure),
    (MethodType, _method),
    (functools.partial, _partial),
    (weakref.WeakMethod, _weak_method),
    (weakref.ref, _weak),
    (SimpleNamespace, _namespace),
    (_WrappedHook, _wrapped_hook),
)

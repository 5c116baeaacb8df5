"""What the counterpart of a user's class tells those who look classes up by their names.

Libraries keep tables by `str(type(module))`, or take helpers from the module that a class says it
is from. A class they do not know they pass over without a word: transformers then leaves out the
hidden states and attentions that were asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from metann.copying import ORIGIN

_REGISTERED_FOR = "_registered_for"


class ShownAsOriginal(type):
    """Makes a counterpart of a user's class print as that class.

    Only the class does so, `<class 'nets.Net'>`; a module of it still prints `DependentNet(...)`.
    A counterpart written on demand knows its class; one of a file does when it is registered.
    """

    def __repr__(cls) -> str:
        origin = _origin_of(cls)
        return super().__repr__() if origin is None else repr(origin)

    def __str__(cls) -> str:
        origin = _origin_of(cls)
        return super().__str__() if origin is None else str(origin)


def show_as(counterpart: type, original: type) -> None:
    """Let a counterpart print as the class it is registered for, if its metaclass wants that."""
    if isinstance(counterpart, ShownAsOriginal):
        type.__setattr__(counterpart, _REGISTERED_FOR, original)


def _origin_of(kind: type) -> type | None:
    own = vars(kind)  # A user's subclass of a counterpart is a class of its own.
    return own.get(ORIGIN) or own.get(_REGISTERED_FOR)


def metaclass_for(bases: Sequence[type]) -> type[type] | None:
    """What a class with these bases has to name as its metaclass; None if a base brings it.

    Example: `(Net, DependentModule)` -> `ShownAsOriginal`; if `Net` is an abstract class, a
    metaclass that is both this and `ABCMeta`.
    """
    kinds = dict.fromkeys(map(type, bases))
    latest: list[Any] = [
        kind for kind in kinds if not any(issubclass(k, kind) and k is not kind for k in kinds)
    ]
    ours = [kind for kind in latest if issubclass(kind, ShownAsOriginal)]
    if ours == latest and len(latest) == 1:
        return None
    if latest == [type]:
        return ShownAsOriginal
    others = [kind for kind in latest if kind not in ours]

    class Combined(*(ours or [ShownAsOriginal]), *others):  # type: ignore[misc]  # known at run time
        """A user's metaclass that shows counterparts as their originals."""

    return Combined


def home_beside(original: str, name: str) -> ModuleType:
    """A module `name` in which everything of the module `original` is found, too.

    Example: `sys.modules[type(model).__module__].apply_rotary` goes on working after conversion
    """
    home = ModuleType(name)
    vars(home)["__getattr__"] = _found_in(original)  # PEP 562
    return home


def _found_in(original: str) -> Callable[[str], Any]:
    """What looks names up in the module `original`, as long as there is one."""

    def look_up(name: str) -> Any:
        if name.startswith("__") or original not in sys.modules:
            raise AttributeError(f"module {original!r} has no attribute {name!r}")
        return getattr(sys.modules[original], name)

    return look_up

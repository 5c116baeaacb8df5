"""Counterparts of classes that nobody generated ahead of time: written from the same template.

The text is kept where `inspect.getsource`, tracebacks and debuggers look for it, for as long as the
class lives.
"""

from __future__ import annotations

import linecache
import sys
import threading
import weakref
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from itertools import count
from types import ModuleType
from typing import Any, Generic

from torch import nn

from metann.codegen.facts import MIXINS
from metann.codegen.model import ClassPlan
from metann.codegen.render import render_on_demand
from metann.copying import ORIGIN
from metann.errors import NoCounterpartError
from metann.identity import home_beside, metaclass_for
from metann.module import DependentModule
from metann.parametrizing import adapt_to_parametrized, injected_properties
from metann.registry import counterpart_of

lock: threading.RLock = threading.RLock()
_HOME = "metann_on_demand"
_quiet = (object, nn.Module, Generic, DependentModule)


def how_to_generate(kind: type[nn.Module]) -> str:
    """Tell which command writes the counterpart of `kind` to a file.

    Example: "write it to a file with `metann-generate pkg.nets:Net -o dependent_net.py`"
    """
    if _is_made_at_run_time(kind):
        return f"{kind.__name__} exists only at run time, so its counterpart does, too"
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        return (
            f"move {kind.__name__} to the top level of a module to be able to write its "
            "counterpart to a file with `metann-generate`"
        )
    target = f"{kind.__module__}:{kind.__qualname__}"
    file = f"dependent_{kind.__name__.lower()}.py"
    return f"write it to a file with `metann-generate {target} -o {file}`"


def _is_made_at_run_time(kind: type) -> bool:
    """Whether no source file defines it, as the `ParametrizedLinear` of torch."""
    home = sys.modules.get(kind.__module__)
    name = kind.__qualname__.split(".")[0]
    return home is not None and "<locals>" not in kind.__qualname__ and not hasattr(home, name)


def write_counterpart(kind: type[nn.Module]) -> type[DependentModule]:
    """Write the counterpart of `kind` and define it.

    Raises:
        NoCounterpartError: Python refuses the class; the message says why.
    """
    parts = _hand_written(kind)
    attempts = [(*parts, *_bases(kind)), (*parts, kind, DependentModule)]
    problem: TypeError | None = None
    for bases in dict.fromkeys(attempts):
        try:
            return _define(kind, bases)
        except TypeError as error:  # For instance an inconsistent method resolution order.
            problem = error
    raise NoCounterpartError(
        f"no counterpart of {kind.__module__}.{kind.__qualname__} can be written: {problem}. "
        "Write a subclass of it and DependentModule by hand and register it with metann.register."
    ) from problem


def _bases(kind: type[nn.Module]) -> tuple[type, ...]:
    """The class itself, then the counterparts of the classes it inherits from.

    The class comes first, so that what it overrides wins and its memory layout is kept. But one
    that acts on its subclasses (`__init_subclass__`) must not take the counterpart for one.
    """
    if _acts_on_subclasses(kind):
        return (DependentModule, kind)
    if injected_properties(kind):
        # torch finds what to go back to, when it removes a parametrization, as the first base.
        return (counterpart_of(kind.__bases__[0]), kind)
    counterparts = [
        counterpart_of(base)
        for base in kind.__bases__
        if issubclass(base, nn.Module) and base is not nn.Module and not _is_mixin(base)
    ]
    return (kind, *(dict.fromkeys(counterparts) or [DependentModule]))


def _hand_written(kind: type[nn.Module]) -> tuple[type, ...]:
    """The part of a counterpart that is written by hand.

    Layers of torch have one; they come here when their generated file does not fit this torch.
    """
    part = MIXINS.get(f"{kind.__module__}.{kind.__qualname__}")
    return () if part is None else (getattr(import_module(part.module), part.name),)


def _is_mixin(base: type) -> bool:
    """Whether a base is a class of torch that stands only beside others, as LazyModuleMixin."""
    return base.__module__.startswith("torch.nn.modules.") and base.__name__.startswith("_")


def _acts_on_subclasses(kind: type) -> bool:
    return any("__init_subclass__" in vars(base) for base in kind.__mro__ if base not in _quiet)


def _define(kind: type[nn.Module], bases: tuple[type, ...]) -> type[DependentModule]:
    """Write a class with these bases, execute the text, and keep it readable."""
    name = f"Dependent{kind.__name__}"
    spelled = _spell(bases)
    metaclass = metaclass_for(bases)
    keywords = [f"written_for={spelled[kind]}"] if bases == (DependentModule, kind) else []
    keywords += ["metaclass=ShownAsOriginal"] if metaclass is not None else []
    plan = ClassPlan(
        name=name,
        original=f"{kind.__module__}.{kind.__qualname__}",
        bases=(*(spelled[base] for base in bases), *keywords),
    )
    text = render_on_demand(plan, how_to_generate(kind))
    home = _make_home(kind, text)
    namespace: dict[str, Any] = {"ShownAsOriginal": metaclass}
    namespace |= {spelled[base]: base for base in bases}
    namespace |= {"__name__": home.__name__, "__loader__": home.__loader__}
    exec(compile(text, str(home.__file__), "exec"), namespace)
    counterpart: type[DependentModule] = namespace.pop(name)
    type.__setattr__(counterpart, ORIGIN, kind)
    adapt_to_parametrized(counterpart, kind)
    weakref.finalize(counterpart, _forget, home.__name__, str(home.__file__))
    return counterpart


def _spell(bases: tuple[type, ...]) -> dict[type, str]:
    """A name for each base, all different: `(Net, DependentModule)` -> their own names."""
    names: dict[type, str] = {}
    for base in bases:
        name = base.__name__
        while name in (*names.values(), "ShownAsOriginal"):
            name += "_"
        names[base] = name
    return names


def _make_home(kind: type, text: str) -> ModuleType:
    """A module that stands for the file the text would be in.

    Its name begins with that of the user's: many ask only which package a class is from.
    """
    wanted = f"{kind.__module__}.{_HOME}.{kind.__qualname__}".replace("<locals>", "local")
    tries = (wanted if n == 0 else f"{wanted}_{n}" for n in count())
    home = home_beside(kind.__module__, next(name for name in tries if name not in sys.modules))
    # No angle brackets: `linecache` would not ask the loader for the text again.
    home.__file__ = f"{home.__name__}.py"
    home.__spec__ = ModuleSpec(home.__name__, loader=_Text(text), origin=home.__file__)
    home.__loader__ = home.__spec__.loader
    sys.modules[home.__name__] = home
    linecache.cache[home.__file__] = (len(text), None, text.splitlines(True), home.__file__)
    return home


class _Text(Loader):
    """A loader that knows the text of one module, for those who ask for it again."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, name: str) -> str:  # noqa: ARG002  # the protocol of PEP 302
        """The text that was executed."""
        return self._text


def _forget(module: str, file: str) -> None:
    sys.modules.pop(module, None)
    linecache.cache.pop(file, None)

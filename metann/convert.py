"""Turning modules into their counterparts, in place."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from torch import nn

from metann.errors import ConversionError
from metann.hooks import OWNS_HOOKS
from metann.module import DependentModule
from metann.references import computed_names
from metann.registry import counterpart_of
from metann.tree import describe, require_materialised, require_module, walk
from metann.typed import typed_conversion


def convert(module: nn.Module, recurse: bool = True) -> DependentModule:
    """Make the class of `module`, and of its submodules, the counterpart of what it is.

    Raises:
        ConversionError: something cannot be converted; nothing was changed.
        UninitializedModuleError: a lazy module has not seen data; nothing was changed.
    """
    require_module(module)
    modules = walk(module) if recurse else [("", module)]
    plain = [(path, m) for path, m in modules if not isinstance(m, DependentModule)]
    _assign([(path, m, counterpart_for(path, m)) for path, m in plain])
    return cast(DependentModule, module)


@typed_conversion
def to_dependent(module: nn.Module, recurse: bool = True) -> DependentModule:
    """Turn `module` into its counterpart in place, and return it.

    The same as `DependentModule(module)`, with the static type of the counterpart: what is given
    as an `nn.Linear` comes back as a `DependentLinear`.

    Args:
        module: any module; its class becomes the counterpart of its class.
        recurse: convert its submodules too.

    Raises:
        ConversionError: something in the tree cannot be converted; nothing was changed.
        UninitializedModuleError: a lazy module in the tree has not seen data.
    """
    return convert(module, recurse)


def counterpart_for(path: str, module: nn.Module) -> type[DependentModule]:
    """The class that this very module becomes.

    Raises:
        ConversionError: it cannot be converted.
        UninitializedModuleError: it is a lazy module that has not seen data.
    """
    reason = why_not_convertible(module)
    if reason is not None:
        raise ConversionError(f"cannot convert {describe(path, module)}: {reason}")
    require_materialised(path, module)
    return counterpart_of(type(module))


def why_not_convertible(module: nn.Module) -> str | None:
    """Why a module of this kind has no counterpart, and what to convert instead."""
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        return "TorchScript has compiled its code and weights. Convert the module it was made from."
    if "_modules" not in module.__dict__:
        return "its Module.__init__() was not called. Call super().__init__() first in __init__."
    if kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch._dynamo"):
        return (
            "torch.compile has wrapped it. Convert the module inside (`._orig_mod`), "
            "and compile the result."
        )
    if module.__dict__.get("_compiled_call_impl") is not None:
        return "its .compile() was called. Convert it first, then compile the result."
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return (
            f"{kind.__name__} makes replicas of what it wraps. Convert the module inside "
            "(`.module`), and wrap the result."
        )
    return None


def _assign(classes: list[tuple[str, nn.Module, type[DependentModule]]]) -> None:
    """Change all these classes, or none."""
    before = [(module, type(module)) for _, module, _ in classes]
    for number, (path, module, counterpart) in enumerate(classes):
        try:
            object.__setattr__(module, "__class__", counterpart)
        except TypeError as error:
            for changed, kind in before[:number]:
                object.__setattr__(changed, "__class__", kind)
            raise ConversionError(
                f"cannot convert {describe(path, module)}: Python refuses to make it a "
                f"{counterpart.__name__} ({error}). "
                "Use metann.Learner or DependentModule.stateless, which build a new instance."
            ) from error
    # Most modules of a class have the same attributes. mypy does not know that it can be hashed.
    computed: Any = cache(computed_names)
    for _, module, counterpart in classes:
        # Handles of hooks that were added before refer to the tables as they are.
        module.__dict__[OWNS_HOOKS] = True
        for name in computed(counterpart, tuple(module.__dict__)):
            del module.__dict__[name]


class _HandOver(DependentModule):
    """The class a converted module has while Python calls `__init__` on it.

    `DependentModule(net)` returns `net`, now a DependentModule, and Python initialises whatever a
    class's `__new__` returns: `DependentSequential.__init__(net, net)` would wipe it.
    """

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        object.__setattr__(self, "__class__", self.__dict__.pop(_FINAL))


_FINAL = "_class_after_conversion"


def converted_by_call(*args: Any, **kwargs: Any) -> DependentModule:
    """Convert, for `DependentModule.__new__`: `__init__` finishes the conversion."""
    given = [*args, *kwargs.values()]
    if len(given) != 1:
        raise ConversionError(
            f"DependentModule(module) takes one module, got {len(given)} arguments. Put several "
            "modules into an nn.ModuleList first."
        )
    converted = convert(given[0])
    kind = type(converted)
    try:
        object.__setattr__(converted, "__class__", _HandOver)
    except TypeError:
        object.__setattr__(converted, "__class__", _hand_over_of(kind))
    converted.__dict__[_FINAL] = kind
    return converted


def _hand_over_of(kind: type[DependentModule]) -> type[DependentModule]:
    """A hand-over class for the few modules whose memory layout is not a plain module's."""

    # `written_for`: a class of the user's must not take it for a subclass of its own.
    class HandOver(kind, written_for=kind):  # type: ignore[misc, valid-type, call-arg]  # known at run time
        __init__ = _HandOver.__init__

    return cast("type[DependentModule]", HandOver)

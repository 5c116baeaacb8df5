"""Which class is the counterpart of which."""

from __future__ import annotations

import importlib
import logging
from typing import Any, Literal, cast

from torch import nn

from metann.errors import ConversionError, NoCounterpartError
from metann.functional.derivatives import supply
from metann.identity import show_as
from metann.module import DependentModule

logger: logging.Logger = logging.getLogger(__name__)

Policy = Literal["write", "error"]
_COUNTERPART = "_metann_counterpart"
_GENERATED = "metann.generated"
_generated: dict[type[nn.Module], type[DependentModule]] = {nn.Module: DependentModule}
_policy: list[Policy] = ["write"]
# The generated files that do not fit the installed torch, and why.
_unfit: dict[str, ImportError] = {}


def counterpart_of(kind: type[nn.Module]) -> type[DependentModule]:
    """The class that modules of exactly the class `kind` are converted to.

    Looked for among those registered, those generated ahead of time, and those already written
    on demand; failing all, one is written from the same template now.

    Raises:
        NoCounterpartError: there is none and the policy is "error", or none can be written.

    Example: `nn.Linear` -> `metann.generated.DependentLinear`
    """
    supply()
    if issubclass(kind, DependentModule):
        return kind
    known = vars(kind).get(_COUNTERPART) or generated_counterpart(kind)
    return known if known is not None else _write(kind)


def register(nn_type: type[nn.Module], counterpart: type[DependentModule]) -> None:
    """Convert modules of exactly the class `nn_type` to `counterpart` from now on.

    A `Learner` made before keeps to the counterpart it found.

    Args:
        nn_type: a class of modules.
        counterpart: a subclass of both `nn_type` and `DependentModule`.

    Raises:
        ConversionError: the counterpart is not such a subclass.
    """
    for kind in (nn_type, counterpart):
        if not isinstance(cast(object, kind), type):
            raise ConversionError(
                f"cannot register {counterpart!r} as the counterpart of {nn_type!r}: "
                f"{kind!r} is no class. Give two classes, not modules."
            )
    for base in (nn_type, DependentModule):
        if not issubclass(counterpart, base):
            raise ConversionError(
                f"cannot register {counterpart.__qualname__} as the counterpart of "
                f"{nn_type.__qualname__}: it must be a subclass of {base.__qualname__}. Declare it "
                f"as `class {counterpart.__name__}({nn_type.__name__}, DependentModule)`."
            )
    # Kept by the class itself: a table here would keep users' classes alive for ever.
    type.__setattr__(nn_type, _COUNTERPART, counterpart)
    show_as(counterpart, nn_type)


def set_missing_policy(policy: Policy) -> Policy:
    """Choose what happens to a module without a pre-generated counterpart; return the old choice.

    Args:
        policy: "write" one from the template on first use (the default), or "error".

    Raises:
        ValueError: it is neither.
    """
    if policy not in ("write", "error"):
        raise ValueError(f'unknown policy {policy!r}: choose "write" or "error"')
    before, _policy[0] = _policy[0], policy
    return before


def generated_counterpart(kind: type[nn.Module]) -> type[DependentModule] | None:
    """The counterpart that was generated ahead of time for a class of torch, if any can be used.

    A file that does not fit the installed torch is reported once, and passed over from then on.
    """
    if kind in _generated:
        return _generated[kind]
    from metann.generated._table import COUNTERPARTS, FILES

    name = COUNTERPARTS.get(f"{kind.__module__}.{kind.__qualname__}")
    if name is None or FILES[name] in _unfit:
        return None
    try:
        counterpart = _load(name)
    except ImportError as error:
        if _unfit.setdefault(FILES[name], error) is error:  # Other threads find it as well.
            logger.warning("%s Until then its counterparts are written on demand.", error)
        return None
    if kind not in counterpart.__bases__:
        return None  # A class that merely calls itself torch's.
    _generated[kind] = counterpart
    return counterpart


def generated_counterparts() -> dict[type[nn.Module], type[DependentModule]]:
    """Every class of torch that has a pre-generated counterpart, and that counterpart."""
    from metann.generated._table import COUNTERPARTS

    pairs: dict[type[nn.Module], type[DependentModule]] = {}
    for original, name in COUNTERPARTS.items():
        module, _, original_name = original.rpartition(".")
        pairs[getattr(importlib.import_module(module), original_name)] = _load(name)
    return pairs


def _load(name: str) -> type[DependentModule]:
    """Import the file that holds the counterpart `name`, and return it."""
    return cast("type[DependentModule]", getattr(importlib.import_module(_GENERATED), name))


def _write(kind: type[nn.Module]) -> type[DependentModule]:
    """Write a counterpart on demand, and keep it with the class it is for."""
    from metann import on_demand

    if _policy[0] == "error":
        raise NoCounterpartError(
            f"no pre-generated counterpart for {kind.__module__}.{kind.__qualname__}, and "
            f"writing one on demand is switched off. {on_demand.how_to_generate(kind)}, or "
            "register one with metann.register."
        )
    with on_demand.lock:
        known: Any = vars(kind).get(_COUNTERPART)
        if known is None:
            known = on_demand.write_counterpart(kind)
            register(kind, known)
            logger.info("wrote %s; %s", known.__qualname__, on_demand.how_to_generate(kind))
    return cast("type[DependentModule]", known)

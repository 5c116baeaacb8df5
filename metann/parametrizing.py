"""What parametrized modules need: a cache that tells instances apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from operator import is_
from typing import Any

from torch import Tensor, nn

from metann.tree import walk

# Its cache has no public name, and is another dict whenever the outermost `cached()` ends.
_parametrize: Any = import_module("torch.nn.utils.parametrize")


@dataclass(frozen=True)
class _Cached:
    """What a parametrization gave: for which module, which keeps its id, and from what."""

    module: nn.Module
    originals: tuple[Tensor | None, ...]
    value: Tensor

    def holds(self, originals: tuple[Tensor | None, ...]) -> bool:
        same_number = len(originals) == len(self.originals)
        return same_number and all(map(is_, originals, self.originals))


def injected_properties(kind: type) -> Mapping[str, property]:
    """The properties that torch put into a class it made for a parametrized module."""
    return {
        name: value
        for name, value in vars(kind).items()
        if isinstance(value, property) and value.fget is not None
        if value.fget.__module__ == _parametrize.__name__
    }


def read_by_instance(name: str, injected: property) -> property:
    """torch's property, with a cache for each instance and each set of weights.

    Inside `torch.nn.utils.parametrize.cached()` torch's own gives every instance of the class the
    value that it computed for the first, whatever their weights are.
    """
    reads: Any = injected.fget

    def read(module: nn.Module) -> Any:
        if not _parametrize._cache_enabled:
            return reads(module)
        parametrizations: Any = module.parametrizations
        parametrization = parametrizations[name]
        originals = (*_tensors(parametrization),)
        cache, key = _parametrize._cache, (id(module), name, "of this instance")
        known: _Cached | None = cache.get(key)
        if known is None or not known.holds(originals):
            known = cache[key] = _Cached(module, originals, parametrization())
        return known.value

    return property(read, injected.fset, doc=injected.__doc__)


def adapt_to_parametrized(counterpart: type, kind: type) -> None:
    """Let the counterpart of a class that torch made for a parametrized module be like others.

    It is read by instance, and is copied with its dependents, which torch's way refuses.
    """
    properties = injected_properties(kind)
    for name, injected in properties.items():
        type.__setattr__(counterpart, name, read_by_instance(name, injected))
    if properties:
        # If a class has none of its own, torch puts in one that fails on what has a `grad_fn`.
        found = (vars(base).get("__deepcopy__") for base in counterpart.__mro__)
        copies = next(c for c in found if c and c.__module__ != _parametrize.__name__)
        type.__setattr__(counterpart, "__deepcopy__", copies)


def tell_instances_apart(kind: type) -> None:
    """Let the parametrized attributes of a class be read by `read_by_instance`."""
    for name, injected in injected_properties(kind).items():
        type.__setattr__(kind, name, read_by_instance(name, injected))


def _tensors(module: nn.Module) -> list[Tensor | None]:
    """All tensors of a tree."""
    tables = ("_parameters", "_buffers")
    return [
        tensor
        for _, owner in walk(module)
        for table in tables
        for tensor in owner.__dict__[table].values()
    ]

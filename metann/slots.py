"""Where the weights of a module tree are, and which tensors may go there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from metann.errors import SubstitutionError

SLOTS = "_dependent_slots"
NO_SLOTS: Mapping[str, Slot] = MappingProxyType({})
# Reading the shape through the descriptor fails on anything that is no tensor, at the cost of
# reading the shape alone.
_TensorBase = cast(type, torch.Tensor.__base__)
_shape_of: Callable[[Tensor], torch.Size] = vars(_TensorBase)["shape"].__get__
_dtype_of: Callable[[Tensor], torch.dtype] = vars(_TensorBase)["dtype"].__get__
# A third of the time of reading `tensor.device`; -1 is the CPU.
_device_of = torch.Tensor.get_device


@dataclass(frozen=True, eq=False)
class Slot:
    """The identity of one weight.

    Tied weights are one slot in several places: after a substitution two places may hold
    different tensors of the same weight, or the same tensor for two weights, so the tensors
    themselves cannot tell.

    Attributes:
        shape: what a tensor put here must have; None for a dependent that is not used.
        dtype: of the tensor that was here when the slot was made,
        device: and where it was.
    """

    shape: torch.Size | None
    dtype: torch.dtype | None = None
    device: torch.device | None = None

    @classmethod
    def like(cls, tensor: Tensor | None) -> Slot:
        """A new slot for tensors like this one; for None, one that is not used."""
        return cls(None) if tensor is None else cls(tensor.shape, tensor.dtype, tensor.device)


def slots_of(module: nn.Module) -> Mapping[str, Slot]:
    """The dependents of this very module, by name. Never changed in place: see `set_slots`."""
    slots: Mapping[str, Slot] = module.__dict__.get(SLOTS, NO_SLOTS)
    return slots


def set_slots(module: nn.Module, slots: Mapping[str, Slot]) -> None:
    """Give `module` these dependents; the mapping is replaced, since instances share it."""
    module.__dict__[SLOTS] = dict(slots)


@dataclass(frozen=True)
class Layout:
    """The weights of a tree, in the order of `named_parameters()`.

    Attributes:
        names: one name a weight.
        shapes: the shape each must have.
        aliases: the further names of tied weights, and the weight each belongs to.
        uniform: the weights were all of one dtype on one device, and must stay so.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    aliases: Mapping[str, int]
    uniform: bool

    @classmethod
    def of(cls, slots: Mapping[str, Slot]) -> Layout:
        """Lay out the slots of a tree, given by each of their names, in order."""
        index: dict[Slot, int] = {}
        for slot in slots.values():
            index.setdefault(slot, len(index))
        first: dict[int, str] = {}
        for name, slot in slots.items():
            first.setdefault(index[slot], name)
        return cls(
            names=tuple(first[i] for i in range(len(index))),
            shapes=tuple(cast(torch.Size, slot.shape) for slot in index),
            aliases={n: index[slot] for n, slot in slots.items() if n != first[index[slot]]},
            uniform=len({(slot.dtype, slot.device) for slot in index}) < 2,
        )

    def match(self, params: Iterable[Tensor] | Mapping[str, Tensor]) -> list[Tensor]:
        """Put `params` in order, one tensor a weight.

        Raises:
            SubstitutionError: naming every tensor that is missing, unknown or wrongly shaped.
        """
        # A list is quicker to tell than a mapping.
        by_name = type(params) is not list and isinstance(params, Mapping)
        tensors: list[Tensor] = self.arrange(cast(Any, params)) if by_name else [*cast(Any, params)]
        if not self._fit(tensors):
            self.check(tensors)
        return tensors

    def _fit(self, tensors: list[Tensor]) -> bool:
        """Whether these are as expected beyond doubt; this is asked in every call."""
        try:
            return [*map(_shape_of, tensors)] == self._shapes and (
                not self.uniform
                or (len({*map(_dtype_of, tensors)}) < 2 and len({*map(_device_of, tensors)}) < 2)
            )
        except (TypeError, AttributeError):
            return False  # Not all of them are tensors: `check` accepts or names them.

    def arrange(self, params: Mapping[str, Tensor]) -> list[Tensor]:
        """Sort a mapping by weight: `{"b": tb, "a": ta}` -> `[ta, tb]`."""
        if params.keys() == self._index.keys():
            return [params[name] for name in self.names]
        problems = [self._unknown(name) for name in params if self._find(name) is None]
        given = self.chosen(params)
        problems += [f"missing: {name}" for i, name in enumerate(self.names) if i not in given]
        problems += self._misfits(given)
        self._raise(problems)
        return [given[i] for i in range(len(self.names))]

    def chosen(self, params: Mapping[str, Tensor]) -> dict[int, Tensor]:
        """The tensors of the names that are known, by weight; tied names must agree."""
        given: dict[int, Tensor] = {}
        for name, tensor in params.items():
            index = self._find(name)
            if index is None:
                continue
            if given.setdefault(index, tensor) is not tensor:
                self._raise([f"{name} is tied to {self.names[index]} but got another tensor"])
        return given

    def check(self, tensors: list[Tensor]) -> None:
        """Raise `SubstitutionError` unless these fit, one tensor a weight."""
        if len(tensors) != len(self.names):
            missing = ", ".join(self.names[len(tensors) :])
            self._raise(
                [
                    f"expected {len(self.names)} tensors, in the order of named_parameters() "
                    f"or named_dependents(), got {len(tensors)}"
                    + (f"; none was given for: {missing}" if missing else "")
                ]
            )
        self.check_some(dict(enumerate(tensors)))
        kinds = _kinds(self.names, tensors)
        if self.uniform and len(kinds) > 1:
            self._raise([f"a mix of {' and '.join(kinds)}; use .to() to make them alike"])

    def check_some(self, given: Mapping[int, Tensor]) -> None:
        """Raise `SubstitutionError` unless each of these tensors fits its weight."""
        self._raise(self._misfits(given))

    @cached_property
    def _shapes(self) -> list[torch.Size]:
        return [*self.shapes]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def _find(self, name: str) -> int | None:
        return self._index.get(name, self.aliases.get(name))

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.names, n=1)
        return f"unknown: {name}" + (f" (did you mean {near[0]}?)" if near else "")

    def _misfits(self, given: Mapping[int, Tensor]) -> list[str]:
        return [p for i, tensor in given.items() if (p := self._misfit(i, tensor))]

    def _misfit(self, index: int, tensor: object) -> str | None:
        name, expected = self.names[index], self.shapes[index]
        if not isinstance(tensor, Tensor) and not hasattr(tensor, "__torch_function__"):
            return f"{name} must be a tensor, got {type(tensor).__name__}"
        found = tuple(cast(Tensor, tensor).shape)
        if found != tuple(expected):
            return f"{name} must have shape {tuple(expected)}, got {found}"
        return None

    def _raise(self, problems: list[str]) -> None:
        if problems:
            raise SubstitutionError(
                "the tensors do not fit, nothing was changed: "
                + "; ".join(problems)
                + ". named_parameters() or named_dependents() list the names and shapes."
            )


def _kinds(names: tuple[str, ...], tensors: list[Tensor]) -> list[str]:
    """Which weights are of which kind.

    Example: `["torch.float32 on cpu (0.weight)", "torch.float64 on cpu (0.bias)"]`
    """
    found: dict[str, list[str]] = {}
    for name, tensor in zip(names, tensors, strict=True):
        if isinstance(cast(object, tensor), Tensor):  # What only acts like one has no device.
            found.setdefault(f"{tensor.dtype} on {tensor.device}", []).append(name)
    return [f"{kind} ({', '.join(names)})" for kind, names in found.items()]

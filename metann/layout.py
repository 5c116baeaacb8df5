"""Which weights a module tree has, and which tensors may take their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from operator import attrgetter
from typing import Any, cast

import torch
from torch import Tensor

from metann.errors import ArgumentError, SubstitutionError
from metann.slots import Slot, numbered

_look_of = attrgetter("shape", "dtype", "is_cpu")
# Reading these through the descriptors fails on anything that is no tensor, at the cost of
# reading them alone.
_TensorBase = cast(type, torch.Tensor.__base__)
_shape_of: Callable[[Tensor], torch.Size] = vars(_TensorBase)["shape"].__get__
_device_of: Callable[[Tensor], torch.device] = vars(_TensorBase)["device"].__get__
_is_on_cpu: Callable[[Tensor], bool] = vars(_TensorBase)["is_cpu"].__get__
_dtype_of: Callable[[Tensor], torch.dtype] = vars(_TensorBase)["dtype"].__get__


@dataclass(frozen=True)
class Layout:
    """The weights of a tree, in the order of `named_parameters()`.

    Attributes:
        names: one name a weight.
        shapes: the shape each must have.
        aliases: the further names of tied weights, and the weight each belongs to.
        uniform: the weights were all of one dtype on one device, and must stay so.
        looks: shape, dtype and whether it is on the CPU, of each weight as it was.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    aliases: Mapping[str, int]
    uniform: bool
    looks: Sequence[tuple[object, ...]]

    @classmethod
    def of(cls, slots: Mapping[str, Slot]) -> Layout:
        """Lay out the slots of a tree, given by each of their names, in order."""
        index = numbered(slots.values())
        first: dict[int, str] = {}
        for name, slot in slots.items():
            first.setdefault(index[slot], name)
        return cls(
            names=tuple(first[i] for i in range(len(index))),
            shapes=tuple(cast(torch.Size, slot.shape) for slot in index),
            aliases={n: index[slot] for n, slot in slots.items() if n != first[index[slot]]},
            uniform=len({(slot.dtype, slot.device) for slot in index}) < 2,
            looks=[(slot.shape, slot.dtype, str(slot.device) == "cpu") for slot in index],
        )

    def match(self, params: Any) -> list[Tensor]:
        """Put `params`, an iterable or a mapping by name, in order: one tensor a weight.

        Raises:
            SubstitutionError: naming every tensor that is missing, unknown or wrongly shaped.
            ArgumentError: `params` is neither an iterable nor a mapping.
        """
        tensors: list[Tensor] = params
        if params.__class__ is not list:
            if not hasattr(params, "__iter__"):
                raise ArgumentError(
                    "params must be an iterable of tensors, or a mapping of names and tensors, "
                    f"got {type(params).__name__}. named_parameters() lists what there is."
                )
            tensors = self._in_order(params)
        try:
            if [*map(_look_of, tensors)] == self.looks:
                return tensors  # As nearly always; in one pass.
            fits = tuple(map(_shape_of, tensors)) == self.shapes and (
                not self.uniform
                or (
                    len({*map(_dtype_of, tensors)}) < 2
                    # Reading `is_cpu` takes half the time of reading `device`.
                    and (all(map(_is_on_cpu, tensors)) or len({*map(_device_of, tensors)}) < 2)
                )
            )
        except (TypeError, AttributeError):
            fits = False  # Not all of them are tensors: `check` accepts or names them.
        if not fits:
            self.check(tensors, params)
        return tensors

    def _in_order(self, params: Any) -> list[Tensor]:
        if hasattr(params, "keys"):
            return self.arrange(params)
        if isinstance(params, Tensor) and params.dim() == 0:
            self._raise([f"expected {len(self.names)} tensors, got {_one_tensor(params)}"])
        return [*params]

    def is_named_by(self, params: Mapping[str, Tensor]) -> bool:
        """Whether the mapping has the name of each weight, and no other."""
        return params.keys() == self._index.keys()

    def arrange(self, params: Mapping[str, Tensor]) -> list[Tensor]:
        """Sort a mapping by weight: `{"b": tb, "a": ta}` -> `[ta, tb]`."""
        if self.is_named_by(params):
            return [params[name] for name in self.names]
        problems = [self._unknown(name) for name in params if self._find(name) is None]
        given, torn = self._known(params)
        problems += [f"missing: {name}" for i, name in enumerate(self.names) if i not in given]
        self._raise([*problems, *torn, *self._misfits(given)])
        return [given[i] for i in range(len(self.names))]

    def choose(
        self, params: Mapping[str, Tensor], others: Sequence[Tensor | None]
    ) -> dict[int, Tensor]:
        """The tensors whose names are known, by weight.

        Args:
            params: tensors by name; those with other names are passed over.
            others: what the weights are now; they and `params` must be of one kind together.

        Raises:
            SubstitutionError: tied names got different tensors, or something does not fit.
        """
        given, torn = self._known(params)
        self._raise([*torn, *self._misfits(given)])
        together = [given.get(index, other) for index, other in enumerate(others)]
        self._raise(self._mixture(together))
        return given

    def _known(self, params: Mapping[str, Tensor]) -> tuple[dict[int, Tensor], list[str]]:
        """The tensors whose names are known, by weight, and which ties they would tear."""
        given: dict[int, Tensor] = {}
        torn: list[str] = []
        for name, tensor in params.items():
            index = self._find(name)
            if index is not None and given.setdefault(index, tensor) is not tensor:
                torn.append(f"{name} is tied to {self.names[index]} but got another tensor")
        return given, torn

    def check(self, tensors: list[Tensor], params: object = None) -> None:
        """Raise `SubstitutionError` unless these fit, one tensor a weight; given as `params`."""
        if tensors and not self.names:
            self._raise(
                [
                    f"expected 0 tensors, since there is no weight to take the place of, got "
                    f"{len(tensors)}; clear_params() makes the parameters of a DependentModule "
                    "dependents"
                ]
            )
        hint = _hint(cast("Sequence[object]", tensors), params)
        if len(tensors) != len(self.names):
            missing = ", ".join(self.names[len(tensors) :])
            self._raise(
                [
                    f"expected {len(self.names)} tensors, in the order of named_parameters() "
                    f"or named_dependents(), got {len(tensors)}"
                    + (f"; none was given for: {missing}" if missing else ""),
                    *hint,
                ]
            )
        misfits = self._misfits(dict(enumerate(tensors)))
        self._raise([*misfits, *hint] if misfits else self._mixture(tensors))

    def _mixture(self, tensors: Sequence[Tensor | None]) -> list[str]:
        kinds = _kinds(self.names, tensors) if self.uniform else []
        if len(kinds) < 2:
            return []
        return [f"a mix of {' and '.join(kinds)}; use .to() to make them alike"]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def _find(self, name: str) -> int | None:
        return self._index.get(name, self.aliases.get(name))

    def _unknown(self, name: object) -> str:
        near = get_close_matches(str(name), self.names, n=1)
        return f"unknown: {name}" + (f" (did you mean {near[0]}?)" if near else "")

    def _misfits(self, given: Mapping[int, Tensor]) -> list[str]:
        return [p for i, tensor in given.items() if (p := self._misfit(i, tensor))]

    def _misfit(self, index: int, tensor: object) -> str | None:
        name, expected = self.names[index], self.shapes[index]
        if not (isinstance(tensor, Tensor) or _acts_like_a_tensor(tensor)):
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


def _one_tensor(tensor: Tensor) -> str:
    return f"one tensor of shape {tuple(tensor.shape)}: put the weights into a list"


def _hint(tensors: Sequence[object], params: object) -> list[str]:
    """What may have gone wrong with all of them together."""
    if isinstance(params, Tensor):
        return [f"got {_one_tensor(params)}"]
    if not tensors:
        return ["a generator that has been used before is empty: give list(net.parameters())"]
    if all(isinstance(pair, tuple) and isinstance([*pair, None][0], str) for pair in tensors):
        return ["these are pairs of names and tensors: give dict(net.named_parameters())"]
    return []


def _acts_like_a_tensor(value: object) -> bool:
    """Whether torch's functions take it for one, and it has a shape to compare."""
    is_class = isinstance(value, type)
    return not is_class and hasattr(value, "__torch_function__") and hasattr(value, "shape")


def _kinds(names: Sequence[str], tensors: Sequence[Tensor | None]) -> list[str]:
    """Which weights are of which kind.

    Example: `["torch.float32 on cpu (0.weight)", "torch.float64 on cpu (0.bias)"]`
    """
    found: dict[str, list[str]] = {}
    for name, tensor in zip(names, tensors, strict=True):
        if isinstance(tensor, Tensor):  # What only acts like one has no device.
            found.setdefault(f"{tensor.dtype} on {tensor.device}", []).append(name)
    return [f"{kind} ({', '.join(names)})" for kind, names in found.items()]

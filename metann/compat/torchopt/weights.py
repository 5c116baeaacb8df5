"""The weights of a module tree, each once, and putting others in their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from metann.convert import convert
from metann.dependents import weights as weights_of_module
from metann.module import DependentModule
from metann.slots import set_slots, slots_of
from metann.tree import join, walk

Place = tuple[nn.Module, str]


@dataclass(frozen=True)
class Weight:
    """A weight of a tree.

    Attributes:
        name: the first of its names.
        tensor: what it is now.
        places: every module and attribute that it is; more than one where weights are tied.
    """

    name: str
    tensor: Tensor
    places: list[Place]


def weights_of(module: nn.Module) -> list[Weight]:
    """Parameters and dependents of a tree, tied ones once, in the order of `parameters()`."""
    found: dict[object, Weight] = {}
    for path, owner in walk(module):
        slots = slots_of(owner)
        for name, tensor in weights_of_module(owner):
            if tensor is not None:
                # As for a dependent: two weights may be the same tensor, and be two all the same.
                identity: object = slots.get(name, tensor)
                weight = found.setdefault(identity, Weight(join(path, name), tensor, []))
                weight.places.append((owner, name))
    return [*found.values()]


def replace_weights(module: nn.Module, weights: Sequence[Weight], tensors: list[Tensor]) -> None:
    """Put a tensor into all places of each weight of a tree.

    If these are parameters, all of them, parameters they become: the tree is then as it was made.
    If not, all weights become dependents, so that `parameters()` keeps its order; the classes of
    the modules become their counterparts for that.
    """
    if all(isinstance(tensor, nn.Parameter) for tensor in tensors):
        for weight, tensor in zip(weights, tensors, strict=True):
            for owner, name in weight.places:
                _put_parameter(owner, name, tensor)
        return
    made: DependentModule = convert(module)
    made.clear_params()
    made.substitute_from_list(tensors)


def _put_parameter(owner: nn.Module, name: str, parameter: Any) -> None:
    """Past the user's `__setattr__`, which may do more than that."""
    slots = slots_of(owner)
    if name in slots:
        del owner.__dict__["_buffers"][name]
        set_slots(owner, {key: slot for key, slot in slots.items() if key != name})
    owner.__dict__["_parameters"][name] = parameter

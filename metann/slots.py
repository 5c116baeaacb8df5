"""The identity of a weight, and where a module keeps the weights that are dependents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

SLOTS = "_dependent_slots"
NO_SLOTS: Mapping[str, Slot] = MappingProxyType({})


# Not frozen: torch.compile takes two frozen ones with equal fields for one key of a set, `eq=False`
# or not, and a forward that reads `self.parameters()` would miss weights.
@dataclass(eq=False)
class Slot:
    """The identity of one weight; never changed.

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

    def fits(self, tensor: Tensor | None) -> bool:
        """Whether a tensor is still such a one; a cleared dependent is."""
        if tensor is None:
            return True
        found = (tensor.shape, tensor.dtype, tensor.device)
        return found == (self.shape, self.dtype, self.device)


def numbered(slots: Iterable[Slot]) -> dict[Slot, int]:
    """Number weights in the order in which they are first met: tied places have one number."""
    return {slot: number for number, slot in enumerate(dict.fromkeys(slots))}


def slots_of(module: nn.Module) -> Mapping[str, Slot]:
    """The dependents of this very module, by name. Never changed in place: see `set_slots`."""
    slots: Mapping[str, Slot] = module.__dict__.get(SLOTS, NO_SLOTS)
    return slots


def set_slots(module: nn.Module, slots: Mapping[str, Slot]) -> None:
    """Give `module` these dependents; the mapping is replaced, since instances share it."""
    module.__dict__[SLOTS] = dict(slots)

"""Moving a module to another device or dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from metann.slots import Slot, set_slots, slots_of


class Once:
    """A function on tensors that gives the same tensor the same result.

    torch applies it to the buffers of one module after another. Two places of one dependent get
    one tensor, so that they stay tied.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._made: dict[int, tuple[Tensor, Tensor]] = {}
        self._slots: dict[Slot, Slot] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        """What the function makes of a tensor, now or before."""
        if id(tensor) not in self._made:
            self._made[id(tensor)] = tensor, self._function(tensor)
        return self._made[id(tensor)][1]

    def renew_slots(self, module: nn.Module) -> None:
        """Let the slots of a module know where its dependents are now, or would be."""
        slots, buffers = slots_of(module), module.__dict__["_buffers"]
        for name, slot in slots.items():
            if slot not in self._slots:
                self._slots[slot] = self._renewed(slot, buffers[name])
        if slots:
            set_slots(module, {name: self._slots[slot] for name, slot in slots.items()})

    def _renewed(self, slot: Slot, value: Any) -> Slot:
        if slot.shape is None:
            return slot
        if value is None:
            value = self._function(torch.empty(0, dtype=slot.dtype, device=slot.device))
        return Slot(slot.shape, value.dtype, value.device)

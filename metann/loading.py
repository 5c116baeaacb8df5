"""Loading a state dict into dependents."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from metann.slots import Slot, slots_of

# The leaves made by the load that is under way, so that tied dependents get the same.
_made: ContextVar[dict[Slot, Tensor] | None] = ContextVar("_made", default=None)


@contextmanager
def one_load() -> Generator[None]:
    """Keep ties between the modules that are loaded inside."""
    token = _made.set({})
    try:
        yield
    finally:
        _made.reset(token)


def load_into(
    module: nn.Module, state_dict: Mapping[str, Any], prefix: str, load: Callable[[], object]
) -> None:
    """Let torch's `load` fill the dependents of this very module.

    torch writes loaded values into the tensors that are there. A dependent may be the caller's
    own tensor, or None, so each gets a new leaf to be written into; what does not fit stays.
    """
    buffers = module.__dict__["_buffers"]
    before: dict[str, Tensor | None] = {}
    for name, slot in slots_of(module).items():
        fits = getattr(state_dict.get(prefix + name), "shape", None) == slot.shape
        if slot.shape is not None and (fits or buffers[name] is None):
            if not fits:
                before[name] = buffers[name]
            buffers[name] = _leaf(slot, buffers[name])
    load()
    buffers.update(before)


def _leaf(slot: Slot, current: Tensor | None) -> Tensor:
    """A tensor to be written into, like the one that is there or was when the slot was made."""
    made = _made.get()
    if made is not None and slot in made:
        return made[slot]
    kind = slot if current is None else current
    leaf = torch.empty(slot.shape or (), dtype=kind.dtype, device=kind.device)
    leaf.requires_grad_(leaf.is_floating_point() or leaf.is_complex())
    if made is not None:
        made[slot] = leaf
    return leaf

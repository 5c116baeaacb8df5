"""Loading a state dict into dependents."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from metann.slots import Slot, slots_of


@dataclass(frozen=True)
class _Load:
    """One load of a tree, so that tied dependents get the same leaf.

    Attributes:
        made: the leaves that torch writes loaded values into.
        assigned: the leaves made of tensors that torch was asked to assign.
    """

    made: dict[Slot, Tensor] = field(default_factory=dict[Slot, Tensor])
    assigned: dict[Slot, Tensor] = field(default_factory=dict[Slot, Tensor])


_under_way: ContextVar[_Load | None] = ContextVar("_under_way", default=None)


@contextmanager
def one_load() -> Generator[None]:
    """Keep ties between the modules that are loaded inside."""
    token = _under_way.set(_Load())
    try:
        yield
    finally:
        _under_way.reset(token)


def load_into(
    module: nn.Module, state_dict: Mapping[str, Any], prefix: str, load: Callable[[], object]
) -> None:
    """Let torch's `load` fill the dependents of this very module.

    torch writes loaded values into the tensors that are there. A dependent may be the caller's
    own tensor, or None, so each gets a new leaf to be written into; what does not fit stays.
    """
    under_way = _under_way.get() or _Load()
    buffers = module.__dict__["_buffers"]
    unfit: dict[str, Tensor | None] = {}
    fitting: dict[str, Slot] = {}
    for name, slot in slots_of(module).items():
        if slot.shape is not None and _shape(state_dict.get(prefix + name)) == slot.shape:
            fitting[name] = slot
        elif slot.shape is not None and buffers[name] is None:
            unfit[name] = None  # Something has to be there for torch to miss it.
        else:
            continue
        if slot not in under_way.made:
            under_way.made[slot] = _leaf(slot, buffers[name])
        buffers[name] = under_way.made[slot]
    load()
    for name, slot in fitting.items():
        if buffers[name] is not under_way.made[slot]:
            assigned = _as_leaf(buffers[name].detach())
            buffers[name] = under_way.assigned.setdefault(slot, assigned)
    buffers.update(unfit)


def _shape(value: object) -> object:
    return getattr(value, "shape", None)


def _leaf(slot: Slot, current: Tensor | None) -> Tensor:
    """A tensor to be written into, like the one that is there or was when the slot was made."""
    kind = slot if current is None else current
    return _as_leaf(torch.empty(slot.shape or (), dtype=kind.dtype, device=kind.device))


def _as_leaf(tensor: Tensor) -> Tensor:
    return tensor.requires_grad_(tensor.is_floating_point() or tensor.is_complex())

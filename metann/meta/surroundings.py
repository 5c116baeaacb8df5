"""What a computation depends on besides its arguments: random numbers and autocast."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

_CPU = torch.device("cpu")


class Surroundings:
    """The states of the random generators and of autocast, as they are when this is made.

    Those of the CPU and of the devices of `tensors`, a pytree; torch's own generators, not those
    that are passed to a function, and not those of Python or NumPy.
    """

    def __init__(self, tensors: Any) -> None:
        leaves: list[Any] = pytree.tree_leaves(tensors)
        found = {leaf.device for leaf in leaves if isinstance(leaf, Tensor)}
        self._devices = [_CPU, *(device for device in found if device.type != "cpu")]
        self._random = {device: _random_state(device) for device in self._devices}
        self._autocast = {device.type: _autocast_state(device.type) for device in self._devices}

    def left(self) -> None:
        """Keep no state of a generator that nobody has drawn from since: it is not needed."""
        self._random = {
            device: state
            for device, state in self._random.items()
            if not torch.equal(state, _random_state(device))
        }

    @contextmanager
    def restored(self) -> Generator[None]:
        """Have them again as they were, and afterwards what is now."""
        now = {device: _random_state(device) for device in self._random}
        with ExitStack() as stack:
            for kind, state in self._autocast.items():
                if state != _autocast_state(kind):
                    enabled, dtype, cached = state
                    stack.enter_context(torch.autocast(kind, dtype, enabled, cached))
            _set_random_states(self._random)
            try:
                yield
            finally:
                _set_random_states(now)


def _autocast_state(kind: str) -> tuple[bool, torch.dtype, bool]:
    return (
        torch.is_autocast_enabled(kind),
        torch.get_autocast_dtype(kind),
        torch.is_autocast_cache_enabled(),
    )


def _random_state(device: torch.device) -> Tensor:
    if device.type == "cpu":
        return torch.get_rng_state()
    state: Tensor = torch.get_device_module(device).get_rng_state(device)
    return state


def _set_random_states(states: Mapping[torch.device, Tensor]) -> None:
    for device, state in states.items():
        if device.type == "cpu":
            torch.set_rng_state(state)
        else:
            torch.get_device_module(device).set_rng_state(state, device)

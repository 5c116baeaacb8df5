"""What an optimiser remembers from one step to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor


class State(NamedTuple):
    """The state of an optimiser: a value, never changed in place.

    It is a tuple, hence a pytree: it passes through torch.func and torch.utils.checkpoint.
    """

    # It hides a method of tuple, as which nobody uses a state.
    count: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    """How many calls of `step` there have been."""
    steps: tuple[int, ...]
    """For each parameter, how many of these brought a gradient: torch's `state[param]["step"]`."""
    slots: dict[str, list[Tensor | None]]
    """Under torch's name for it, such as "exp_avg": for each parameter a tensor, or None yet."""


def fresh(names: Iterable[str], columns: Sequence[Mapping[str, Tensor]]) -> State:
    """The state before the first step; `columns` has for each parameter what it starts with."""
    slots = {name: [column.get(name) for column in columns] for name in names}
    return State(0, (0,) * len(columns), slots)


def of_parameter(state: State, index: int) -> dict[str, Tensor]:
    """What the state has for one parameter, by name; what is None yet is left out."""
    found: dict[str, Tensor] = {}
    for name, column in state.slots.items():
        value = column[index]
        if value is not None:
            found[name] = value
    return found

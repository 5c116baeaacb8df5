"""Running a cell along sequences, in both directions and in layers on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.errors import ArgumentError
from metann.functional.cells import State, Step, Weights


@dataclass(frozen=True)
class Recurrence:
    """Recurrent layers on top of each other.

    Attributes:
        step: what the cell does.
        layers: the weights of the one direction or the two directions of each.
        dropout: probability with which an entry between two layers is dropped.
    """

    step: Step
    layers: Sequence[Sequence[Weights]]
    dropout: float = 0.0

    def along(
        self, data: Tensor, sizes: Sequence[int] | None, state: State
    ) -> tuple[Tensor, State]:
        """What the last layer shows at each time, and the state in which each layer ends.

        Args:
            data: padded, shape (L, N, features); or packed, the sequences' first entries before
                all the second ones, (total, features).
            sizes: packed, how many sequences have an entry at each time; else None.
            state: shapes (layers * directions, N, features).
        """
        starts = zip(*(part.unbind(0) for part in state), strict=True)
        ends: list[State] = []
        for depth, directions in enumerate(self.layers):
            if depth and self.dropout:
                data = F.dropout(data, self.dropout)
            shown: list[Tensor] = []
            for run, weights in zip((self._forwards, self._backwards), directions, strict=False):
                times = _times(weights.from_input(data), sizes)
                outputs, end = run(times, next(starts), weights)
                shown.append(torch.stack(outputs) if sizes is None else torch.cat(outputs))
                ends.append(end)
            data = shown[0] if len(shown) == 1 else torch.cat(shown, -1)
        return data, tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    def _forwards(
        self, times: Sequence[Tensor], state: State, weights: Weights
    ) -> tuple[list[Tensor], State]:
        """Sequences end on the way, the last in the batch first."""
        outputs: list[Tensor] = []
        ended: list[State] = []
        for gates in times:
            size, size_before = len(gates), len(state[0])
            if size < size_before:
                ended.insert(0, _part(state, size, size_before))
                state = _part(state, 0, size)
            state = self.step(gates, state, weights)
            outputs.append(state[0])
        return outputs, _joined(state, *ended)

    def _backwards(
        self, times: Sequence[Tensor], start: State, weights: Weights
    ) -> tuple[list[Tensor], State]:
        """The longest sequences come first, the others join on the way."""
        outputs: list[Tensor] = []
        state = _part(start, 0, len(times[-1]))
        for gates in reversed(times):
            size, size_before = len(gates), len(state[0])
            if size > size_before:
                state = _joined(state, _part(start, size_before, size))
            state = self.step(gates, state, weights)
            outputs.append(state[0])
        return outputs[::-1], state


def layers_of(
    params: Sequence[Tensor], names: Sequence[str], num_layers: int, directions: int
) -> list[list[Weights]]:
    """The flat list that torch's functions take, by layer and direction.

    Args:
        params: the weights; of each direction of each layer those that `names` says.
        names: fields of `Weights`.
        num_layers: how many layers.
        directions: how many directions each has.

    Raises:
        ArgumentError: the list has another length than the other arguments say.
    """
    each = len(names)
    expected = num_layers * directions * each
    if len(params) != expected:
        raise ArgumentError(
            f"{num_layers} layers of {directions} directions with {', '.join(names)} take "
            f"{expected} weights, got {len(params)}. Give them layer by layer, in this order."
        )
    parts = [params[start : start + each] for start in range(0, expected, each)]
    flat = [Weights(**dict(zip(names, part, strict=True))) for part in parts]
    return [flat[start : start + directions] for start in range(0, len(flat), directions)]


def _times(gates: Tensor, sizes: Sequence[int] | None) -> Sequence[Tensor]:
    return gates.unbind(0) if sizes is None else torch.split(gates, [*sizes])


def _part(state: State, start: int, stop: int) -> State:
    return tuple(part[start:stop] for part in state)


def _joined(*states: State) -> State:
    return states[0] if len(states) == 1 else tuple(map(torch.cat, zip(*states, strict=True)))

"""Calls of recurrent layers: by torch's own kernel, or by plain operations under a transform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metann.errors import ArgumentError
from metann.functional.cells import State, Step, gru_step, lstm_step, relu_step, tanh_step
from metann.functional.packing import numbers
from metann.functional.recurrence import Recurrence, layers_of
from metann.functional.transforms import in_any_transform, plain_form_is_needed


@dataclass(frozen=True)
class Call:
    """What torch's functions take, by its names; see `metann.functional.gru`."""

    data: Tensor
    batch_sizes: Tensor | None
    hx: Tensor | Sequence[Tensor] | None
    params: Sequence[Tensor]
    has_biases: bool = True
    num_layers: int = 1
    dropout: float = 0.0
    train: bool = False
    bidirectional: bool = False
    batch_first: bool = False

    @property
    def directions(self) -> int:
        """How many directions each layer has."""
        return 2 if self.bidirectional else 1

    @property
    def batch_size(self) -> int:
        """How many sequences there are."""
        if self.batch_sizes is None:
            return self.data.shape[0 if self.batch_first else 1]
        return numbers(self.batch_sizes)[0]

    @property
    def options(self) -> tuple[int | float, ...]:
        """What comes after the weights, in torch's order."""
        both = (self.has_biases, self.num_layers, self.dropout, self.train, self.bidirectional)
        return both if self.batch_sizes is not None else (*both, self.batch_first)


def call_of(*args: Any, **kwargs: Any) -> Call:
    """The call with these arguments: those for packed sequences, or those for padded ones."""
    is_packed = "batch_sizes" in kwargs or (len(args) > 1 and _is_integers(args[1]))
    return _packed(*args, **kwargs) if is_packed else _padded(*args, **kwargs)


def _is_integers(value: object) -> bool:
    """Whether it is sizes of batches, where padded sequences have the first state."""
    return isinstance(value, Tensor) and not value.is_floating_point()


def _padded(input: Tensor, hx: Any, params: Sequence[Tensor], *args: Any, **kwargs: Any) -> Call:
    return Call(input, None, hx, params, *args, **kwargs)


def _packed(
    data: Tensor,
    batch_sizes: Tensor,
    hx: Any,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
) -> Call:
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return Call(data, batch_sizes, hx, params, *options)


@dataclass(frozen=True)
class Kind:
    """A kind of recurrent layer.

    Attributes:
        name: of torch's function.
        step: what its cell does.
        gates: how many its cell has.
        has_cell_state: whether it remembers something that it does not show.
    """

    name: str
    step: Step
    gates: int
    has_cell_state: bool = False

    def called(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        """What torch's function returns."""
        call = call_of(*args, **kwargs)
        state = self._first_state(call)
        if in_any_transform() if call.batch_sizes is not None else plain_form_is_needed():
            output, last = self.plainly(call, state)
            return (output, *last)
        sequences = (call.data,) if call.batch_sizes is None else (call.data, call.batch_sizes)
        hx = state if self.has_cell_state else state[0]
        torchs: Any = getattr(torch, self.name)
        return tuple(torchs(*sequences, hx, call.params, *call.options))

    def plainly(self, call: Call, state: State) -> tuple[Tensor, State]:
        """What the last layer shows and the last state, in plain operations.

        Raises:
            ArgumentError: the arguments do not fit each other.
        """
        self._check(call, state)
        names = ["ih", "hh", *(["bias_ih", "bias_hh"] if call.has_biases else [])]
        if state[0].shape[-1] != state[-1].shape[-1]:
            names.append("hr")
        layers = layers_of(call.params, names, call.num_layers, call.directions)
        recurrence = Recurrence(self.step, layers, call.dropout if call.train else 0.0)
        if call.batch_sizes is not None:
            return recurrence.along(call.data, numbers(call.batch_sizes), state)
        data = call.data.transpose(0, 1) if call.batch_first else call.data
        output, last = recurrence.along(data, None, state)
        return (output.transpose(0, 1) if call.batch_first else output), last

    def _first_state(self, call: Call) -> State:
        if call.hx is not None:
            return (call.hx,) if isinstance(call.hx, Tensor) else tuple(call.hx)
        return tuple(call.data.new_zeros(shape) for shape in self._state_shapes(call))

    def _state_shapes(self, call: Call) -> list[tuple[int, int, int]]:
        weight_ih, weight_hh, *_ = call.params
        sizes = [weight_hh.shape[1]]
        if self.has_cell_state:
            sizes.append(weight_ih.shape[0] // self.gates)
        return [(call.num_layers * call.directions, call.batch_size, size) for size in sizes]

    def _check(self, call: Call, state: State) -> None:
        dimensions = 3 if call.batch_sizes is None else 2
        if call.data.dim() != dimensions or not len(call.data):
            raise ArgumentError(
                f"{self.name} takes sequences in {dimensions} dimensions, of one entry at least, "
                f"got shape {tuple(call.data.shape)}."
            )
        expected = self._state_shapes(call)
        if [tuple(part.shape) for part in state] != expected:
            raise ArgumentError(
                f"{self.name} takes a first state of shapes {expected} with these sequences and "
                f"weights, got {[tuple(part.shape) for part in state]}."
            )


RNN_TANH = Kind("rnn_tanh", tanh_step, 1)
RNN_RELU = Kind("rnn_relu", relu_step, 1)
GRU = Kind("gru", gru_step, 3)
LSTM = Kind("lstm", lstm_step, 4, has_cell_state=True)

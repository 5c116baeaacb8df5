"""Recurrent cells in plain operations: one step of a recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.transforms import plain_form_is_needed


class Weights(NamedTuple):
    """What one direction of one recurrent layer has learned, in the order in which torch takes it.

    Attributes:
        ih: shape (gates * hidden_size, input_size).
        hh: shape (gates * hidden_size, output_size).
        bias_ih: shape (gates * hidden_size,), or None.
        bias_hh: shape (gates * hidden_size,), or None.
        hr: shape (output_size, hidden_size): what projects the hidden state of an LSTM, or None.
    """

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    hr: Tensor | None = None

    def from_input(self, input: Tensor) -> Tensor:
        """What the input contributes to the gates."""
        return F.linear(input, self.ih, self.bias_ih)

    def from_hidden(self, hidden: Tensor) -> Tensor:
        """What the state before contributes to them."""
        return F.linear(hidden, self.hh, self.bias_hh)


# What a layer remembers; first comes what it shows: (hidden,), or (hidden, cell) of an LSTM.
State = tuple[Tensor, ...]
# From what the input contributes to the gates, and the state before, to the state after.
Step = Callable[[Tensor, State, Weights], State]


def tanh_step(gates: Tensor, state: State, weights: Weights) -> State:
    """One step of `rnn_tanh`."""
    return ((gates + weights.from_hidden(state[0])).tanh(),)


def relu_step(gates: Tensor, state: State, weights: Weights) -> State:
    """One step of `rnn_relu`."""
    return ((gates + weights.from_hidden(state[0])).relu(),)


def lstm_step(gates: Tensor, state: State, weights: Weights) -> State:
    """One step of `lstm`."""
    hidden, cell = state
    entry, keep, new, exit = (gates + weights.from_hidden(hidden)).chunk(4, -1)
    cell = keep.sigmoid() * cell + entry.sigmoid() * new.tanh()
    hidden = exit.sigmoid() * cell.tanh()
    return (hidden if weights.hr is None else F.linear(hidden, weights.hr), cell)


def gru_step(gates: Tensor, state: State, weights: Weights) -> State:
    """One step of `gru`."""
    (hidden,) = state
    of_input, of_hidden = gates.chunk(3, -1), weights.from_hidden(hidden).chunk(3, -1)
    reset, keep = ((x + h).sigmoid() for x, h in zip(of_input[:2], of_hidden[:2], strict=True))
    new = (of_input[2] + reset * of_hidden[2]).tanh()
    return (new + keep * (hidden - new),)


def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """The hidden state after one step of an Elman network.

    Args:
        input: shape (N, input_size).
        hx: the hidden state before, shape (N, hidden_size).
        w_ih: shape (hidden_size, input_size).
        w_hh: shape (hidden_size, hidden_size).
        b_ih: shape (hidden_size,).
        b_hh: shape (hidden_size,).

    Returns:
        shape (N, hidden_size).

    Source: torch.rnn_tanh_cell, which torch.nn.RNNCell calls.
    """
    if plain_form_is_needed():
        weights = Weights(w_ih, w_hh, b_ih, b_hh)
        return tanh_step(weights.from_input(input), (hx,), weights)[0]
    return torch.rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih, b_hh)


def rnn_relu_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """The same with a rectifier in the place of tanh.

    Source: torch.rnn_relu_cell, which torch.nn.RNNCell calls.
    """
    if plain_form_is_needed():
        weights = Weights(w_ih, w_hh, b_ih, b_hh)
        return relu_step(weights.from_input(input), (hx,), weights)[0]
    return torch.rnn_relu_cell(input, hx, w_ih, w_hh, b_ih, b_hh)


def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The hidden state and the cell state after one step of an LSTM.

    Args:
        input: shape (N, input_size).
        hx: the hidden state and the cell state before, each of shape (N, hidden_size).
        w_ih: shape (4 * hidden_size, input_size).
        w_hh: shape (4 * hidden_size, hidden_size).
        b_ih: shape (4 * hidden_size,).
        b_hh: shape (4 * hidden_size,).

    Returns:
        two tensors of shape (N, hidden_size).

    Source: torch.lstm_cell, which torch.nn.LSTMCell calls.
    """
    if plain_form_is_needed():
        weights = Weights(w_ih, w_hh, b_ih, b_hh)
        hidden, cell = lstm_step(weights.from_input(input), tuple(hx), weights)
        return hidden, cell
    return torch.lstm_cell(input, tuple(hx), w_ih, w_hh, b_ih, b_hh)


def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """The hidden state after one step of a gated recurrent unit.

    Args:
        input: shape (N, input_size).
        hx: the hidden state before, shape (N, hidden_size).
        w_ih: shape (3 * hidden_size, input_size).
        w_hh: shape (3 * hidden_size, hidden_size).
        b_ih: shape (3 * hidden_size,).
        b_hh: shape (3 * hidden_size,).

    Returns:
        shape (N, hidden_size).

    Source: torch.gru_cell, which torch.nn.GRUCell calls.
    """
    if plain_form_is_needed():
        weights = Weights(w_ih, w_hh, b_ih, b_hh)
        return gru_step(weights.from_input(input), (hx,), weights)[0]
    return torch.gru_cell(input, hx, w_ih, w_hh, b_ih, b_hh)

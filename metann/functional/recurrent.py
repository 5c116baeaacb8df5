"""Recurrent layers as functions of their weights.

Each takes what torch's undocumented function of the same name takes, in the same two ways:
padded sequences, or packed ones with the sizes of their batches. It may also be called without a
first state, and the options have the defaults of torch's layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from torch import Tensor

from metann.functional.recurrent_calls import GRU, LSTM, RNN_RELU, RNN_TANH


@overload
def rnn_tanh(
    input: Tensor,
    hx: Tensor | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]: ...


@overload
def rnn_tanh(
    data: Tensor,
    batch_sizes: Tensor,
    hx: Tensor | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
) -> tuple[Tensor, Tensor]: ...


def rnn_tanh(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """An Elman network with tanh; arguments and results as of `gru`, with one gate for its three.

    Source: torch.rnn_tanh, which torch.nn.RNN calls.
    """
    output, hidden = RNN_TANH.called(*args, **kwargs)
    return output, hidden


@overload
def rnn_relu(
    input: Tensor,
    hx: Tensor | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]: ...


@overload
def rnn_relu(
    data: Tensor,
    batch_sizes: Tensor,
    hx: Tensor | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
) -> tuple[Tensor, Tensor]: ...


def rnn_relu(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """An Elman network with a rectifier; see `rnn_tanh`.

    Source: torch.rnn_relu, which torch.nn.RNN calls.
    """
    output, hidden = RNN_RELU.called(*args, **kwargs)
    return output, hidden


@overload
def gru(
    input: Tensor,
    hx: Tensor | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]: ...


@overload
def gru(
    data: Tensor,
    batch_sizes: Tensor,
    hx: Tensor | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
) -> tuple[Tensor, Tensor]: ...


def gru(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Gated recurrent units, in layers on top of each other.

    Args:
        input: padded sequences, shape (L, N, input_size), or (N, L, input_size) if `batch_first`.
        data: packed sequences, shape (total, input_size), as in torch's PackedSequence.
        batch_sizes: how many of these have an entry at each time, shape (L,).
        hx: the first state of each layer and direction, shape (num_layers * directions, N,
            hidden_size); zeros if None.
        params: the weights, in the order of `list(torch.nn.GRU(...).parameters())`: for each layer
            and direction (3 * hidden_size, features), (3 * hidden_size, hidden_size), and if
            `has_biases` twice (3 * hidden_size,).
        has_biases: whether there are biases among `params`.
        num_layers: how many layers.
        dropout: probability with which an entry between two layers is dropped, if `train`.
        train: whether it is.
        bidirectional: each layer has a second direction, which starts at the end.
        batch_first: as said at `input`.

    Returns:
        what the last layer shows at each time, (..., directions * hidden_size), packed as `data`
        is; and the last state of each layer and direction, in the shape of `hx`.

    Raises:
        ArgumentError: under a transform: the arguments do not fit each other.

    Source: torch.gru, which torch.nn.GRU calls.
    """
    output, hidden = GRU.called(*args, **kwargs)
    return output, hidden


@overload
def lstm(
    input: Tensor,
    hx: Sequence[Tensor] | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor, Tensor]: ...


@overload
def lstm(
    data: Tensor,
    batch_sizes: Tensor,
    hx: Sequence[Tensor] | None,
    params: Sequence[Tensor],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
) -> tuple[Tensor, Tensor, Tensor]: ...


def lstm(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory, in layers on top of each other.

    Arguments and results are those of `gru`, with four gates for its three, and these differences:

    Args:
        hx: hidden state, (num_layers * directions, N, output_size), and cell state, (num_layers *
            directions, N, hidden_size), of each layer and direction.
        params: the second of each layer and direction is (4 * hidden_size, output_size); if the
            hidden state is projected, there is one more, (output_size, hidden_size).

    Returns:
        what the last layer shows at each time; the last hidden state; the last cell state.

    Source: torch.lstm, which torch.nn.LSTM calls.
    """
    output, hidden, cell = LSTM.called(*args, **kwargs)
    return output, hidden, cell

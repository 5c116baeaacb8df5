"""The derivative that cuDNN's recurrent layers lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from metann.errors import NoSecondOrderError
from metann.functional.cells import State
from metann.functional.recurrent_calls import GRU, LSTM, RNN_RELU, RNN_TANH, Call, Kind

# By cuDNN's numbers.
_KINDS = (RNN_RELU, RNN_TANH, LSTM, GRU)


def cudnn_rnn_backward(
    input: Tensor,
    weight: Sequence[Tensor],
    weight_stride0: int,
    weight_buf: Tensor,
    hx: Tensor,
    cx: Tensor | None,
    output: Tensor,
    grad_output: Tensor | None,
    grad_hy: Tensor | None,
    grad_cy: Tensor | None,
    mode: int,
    hidden_size: int,
    proj_size: int,
    num_layers: int,
    batch_first: bool,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_sizes: Sequence[int],
    dropout_state: Tensor | None,
    reserve: Tensor,
    output_mask: Sequence[bool],
) -> Any:
    """The gradients of input, states and weights, as a computation that can be differentiated.

    The forward pass is done again by plain operations. Tested on the CPU, by calling the operator
    there; it has never run behind cuDNN itself, for want of a GPU.

    Raises:
        NoSecondOrderError: there is dropout between layers; cuDNN keeps what it dropped to itself.
    """
    if dropout and train and num_layers > 1:
        raise NoSecondOrderError(
            "a second derivative was asked of cuDNN's recurrent layers with dropout between them, "
            "and what they dropped cannot be read. Call the layer inside "
            "`torch.backends.cudnn.flags(enabled=False)`, or without dropout."
        )
    sizes = torch.tensor(batch_sizes) if len(batch_sizes) else None
    options = (weight_stride0 > 3, num_layers, 0.0, False, bidirectional, batch_first)
    call = Call(input, sizes, None, weight, *options)
    state = (hx,) if cx is None else (hx, cx)
    of_input, *of_others = _gradients(_KINDS[mode], call, state, (grad_output, grad_hy, grad_cy))
    of_states, of_weights = of_others[: len(state)], of_others[len(state) :]
    return of_input, of_states[0], None if cx is None else of_states[1], of_weights


def _gradients(
    kind: Kind, call: Call, state: State, grads: Sequence[Tensor | None]
) -> tuple[Tensor, ...]:
    """The gradients of data, state and weights, from those of what the layers show and end in."""
    known = (call.data, *state, *call.params)
    flows = [grad for grad in grads if grad is not None]
    is_recorded = torch.is_grad_enabled() and any(t.requires_grad for t in (*known, *flows))
    with torch.enable_grad():
        data, *others = given = [_differentiable(tensor) for tensor in known]
        state, params = tuple(others[: len(state)]), others[len(state) :]
        shown, last = kind.plainly(replace(call, data=data, params=params), state)
    results = zip((shown, *last), grads, strict=False)
    reached = [result for result, grad in results if grad is not None]
    return torch.autograd.grad(
        reached, given, flows, create_graph=is_recorded, allow_unused=True, materialize_grads=True
    )


def _differentiable(tensor: Tensor) -> Tensor:
    """The tensor under another name, whose gradient can be asked for, and goes no further back."""
    if tensor.requires_grad:
        return tensor.view_as(tensor)
    # Inside torch.vmap no tensor may be told to require gradients, but it may be made to.
    return tensor * torch.ones((), dtype=tensor.dtype, device=tensor.device, requires_grad=True)

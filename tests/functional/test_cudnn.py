"""The second derivative of cuDNN's recurrent layers, by their operator, which exists on the CPU.

`backward` calls it as torch's formula of the derivative does; the forward pass needs a GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from recurring import FEW, KINDS, Recurring
from torch import Tensor, nn
from torch.autograd import gradgradcheck

from metann import DependentModule, Learner
from metann.errors import NoSecondOrderError
from metann.functional.derivatives import supply
from metann.layers.recurrent import ignore_advice

NUMBERS = {"rnn_relu": 0, "rnn_tanh": 1, "lstm": 2, "gru": 3}
few_ways = pytest.mark.parametrize("way", FEW, ids=str)
ADVICE = (
    "RNN module weights are not part of single contiguous chunk of memory. This means they need "
    "to be compacted at every call, possibly greatly increasing memory usage. To compact weights "
    "again call flatten_parameters()."
)


@pytest.fixture(autouse=True)
def _supplied() -> None:
    supply()


def leaf(*shape: int) -> Tensor:
    return torch.randn(shape, requires_grad=True)


def backward(
    way: Recurring,
    data: Tensor,
    state: Sequence[Tensor],
    weights: list[Tensor],
    grads: Sequence[Tensor | None],
    dropout: float = 0.0,
) -> list[Tensor]:
    """What torch calls for the gradients of data, states and weights."""
    each = len(weights) // (way.num_layers * way.directions)
    hx, cx = (*state, None)[:2]
    nothing = torch.empty(0)
    grad_output, grad_hy, grad_cy = (*grads, None)[:3]
    sizes: list[int] = way.batch_sizes().tolist() if way.lengths else []
    of_data, of_hx, of_cx, of_weights = torch.ops.aten._cudnn_rnn_backward(
        *(data, weights, each, nothing, hx, cx, nothing, grad_output, grad_hy, grad_cy),
        *(NUMBERS[way.kind], 4, way.proj_size, way.num_layers, way.batch_first, dropout, True),
        *(way.bidirectional, sizes, None, nothing, [True, True, cx is not None, True]),
    )
    return [of_data, of_hx, *([] if cx is None else [of_cx]), *of_weights]


def arguments_of(way: Recurring) -> tuple[list[Tensor], int]:
    """Data, states, weights, and how many states there are."""
    state = way.state()
    weights = [weight.detach() for weight in way.layer().parameters()]
    given = [tensor.requires_grad_() for tensor in (way.data(), *state, *weights)]
    return given, len(state)


@few_ways
@pytest.mark.parametrize(
    "are_known", [(True, True, True), (True, False, False), (False, True, False)]
)
def test_the_gradients_are_those_of_torchs_layer(
    way: Recurring, are_known: tuple[bool, ...]
) -> None:
    given, states = arguments_of(way)
    results = way.torchs(given[0], given[1 : 1 + states], given[1 + states :])
    grads = [torch.randn_like(r) if k else None for r, k in zip(results, are_known, strict=False)]

    found = backward(way, given[0], given[1 : 1 + states], given[1 + states :], grads)

    expected = torch.autograd.grad(
        [result for result, grad in zip(results, grads, strict=True) if grad is not None],
        given,
        [grad for grad in grads if grad is not None],
        allow_unused=True,
        materialize_grads=True,
    )
    torch.testing.assert_close(found, list(expected), rtol=1e-12, atol=1e-12)


@few_ways
def test_their_derivatives_are_those_of_torchs_layer(way: Recurring) -> None:
    given, states = arguments_of(way)
    state, weights = given[1 : 1 + states], given[1 + states :]
    results = way.torchs(given[0], state, weights)
    grads = [torch.randn_like(result).requires_grad_() for result in results]
    expected = torch.autograd.grad(results, given, grads, create_graph=True)
    directions = [torch.randn_like(part) for part in expected]

    found = backward(way, given[0], state, weights, grads)

    def second_order(first: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(first, [*given, *grads], directions, materialize_grads=True)

    torch.testing.assert_close(second_order(found), second_order(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_their_derivatives_are_those_of_finite_differences(kind: str) -> None:
    way = Recurring(kind)
    given, states = arguments_of(way)
    grads = [
        torch.randn_like(r)
        for r in way.torchs(given[0], given[1 : 1 + states], given[1 + states :])
    ]

    def function(*tensors: Tensor) -> Any:
        return tuple(
            backward(way, tensors[0], tensors[1 : 1 + states], [*tensors[1 + states :]], grads)
        )

    assert torch.autograd.gradcheck(function, given, fast_mode=True)
    assert gradgradcheck(function, given, fast_mode=True)


def test_the_weights_alone_may_require_gradients() -> None:
    way = Recurring("gru")
    given, states = arguments_of(way)
    data, state = given[0].detach(), [part.detach() for part in given[1 : 1 + states]]
    grads = [torch.randn(3, 2, 4), torch.randn(1, 2, 4)]

    found = backward(way, data, state, given[1 + states :], grads)

    assert all(gradient.requires_grad for gradient in found)


def test_without_gradients_to_record_torchs_own_kernel_is_called() -> None:
    """It is not there without a GPU: the error shows that it was asked for."""
    way = Recurring("gru")
    given, states = arguments_of(way)
    grads = [torch.randn(3, 2, 4), torch.randn(1, 2, 4)]

    with torch.no_grad(), pytest.raises((NotImplementedError, RuntimeError), match=r"cudnn"):
        backward(way, given[0], given[1 : 1 + states], given[1 + states :], grads)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_under_vmap_they_are_those_of_a_loop(requires_grad: bool) -> None:
    way = Recurring("lstm", lengths=(3, 2))
    given, states = arguments_of(way)
    given = [tensor.detach().requires_grad_(requires_grad) for tensor in given]
    state, weights = given[1 : 1 + states], given[1 + states :]
    grads = [torch.randn(2, *result.shape) for result in way.torchs(given[0], state, weights)]

    def function(*flows: Tensor) -> Any:
        return tuple(backward(way, given[0], state, weights, flows))

    found = torch.vmap(function)(*grads)

    assert [part.requires_grad for part in found] == [requires_grad] * len(given)
    for index in range(2):
        leaves = [tensor.detach().requires_grad_() for tensor in given]
        results = way.torchs(leaves[0], leaves[1 : 1 + states], leaves[1 + states :])
        expected = torch.autograd.grad(results, leaves, [grad[index] for grad in grads])
        torch.testing.assert_close([part[index] for part in found], list(expected))


def test_dropout_between_layers_is_an_error_that_says_what_to_do() -> None:
    way = Recurring("gru", num_layers=2)
    given, states = arguments_of(way)
    grads = [torch.randn(3, 2, 4), torch.randn(2, 2, 4)]

    with pytest.raises(NoSecondOrderError, match=r"cudnn\.flags\(enabled=False\)"):
        backward(way, given[0], given[1 : 1 + states], given[1 + states :], grads, dropout=0.5)


def test_T25_the_advice_to_flatten_is_not_passed_on_and_other_warnings_are() -> None:
    ignore_advice()
    ignore_advice()

    warnings.warn(ADVICE, UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match=r"something else"):
        warnings.warn("something else", UserWarning, stacklevel=1)


# ── where there is cuDNN ─────────────────────────────────────────────────────────────────────

on_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="cuDNN runs on a GPU, and this machine has none"
)


@on_cuda
@few_ways
def test_on_cuda_the_second_order_is_that_of_the_cpu(way: Recurring) -> None:
    given, states = arguments_of(way)
    directions = [torch.randn_like(tensor) for tensor in given]

    def second_order(device: str) -> list[Tensor]:
        leaves = [tensor.detach().to(device).requires_grad_() for tensor in given]
        output, *last = way.torchs(leaves[0], leaves[1 : 1 + states], leaves[1 + states :])
        loss = sum(part.square().sum() for part in (output, *last))
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        flows = [direction.to(device) for direction in directions]
        return [part.cpu() for part in torch.autograd.grad(first, leaves, flows)]

    torch.testing.assert_close(second_order("cuda"), second_order("cpu"), rtol=1e-7, atol=1e-7)


@on_cuda
def test_T25_on_cuda_substituted_weights_give_no_advice() -> None:
    layer, data = nn.LSTM(3, 4).cuda(), torch.randn(3, 2, 3, device="cuda")
    weights = [torch.randn_like(weight) for weight in layer.parameters()]

    net = DependentModule.stateless(layer)
    net.substitute_from_list(weights)

    assert torch.equal(Learner(layer).functional(weights, True, data)[0], net(data)[0])

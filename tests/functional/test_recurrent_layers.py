"""T-25, T-84, T-86: recurrent layers as modules, under every transform and with any weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from recurring import FEW, KINDS, WAYS, Recurring
from torch import Tensor, nn
from torch.func import grad, jvp, vmap
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from transforming import (
    FORWARD_MODE_WARNS,
    Operators,
    as_function,
    assert_every_derivative,
    assert_vmap,
    moved,
    stacked,
)

from metann import DependentModule, Learner
from metann.functional import recurrent_calls
from metann.functional.replacing import Replacing
from metann.generated import DependentLSTM

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
each_way = pytest.mark.parametrize("way", WAYS, ids=str)
few_ways = pytest.mark.parametrize("way", FEW, ids=str)
each_kind = pytest.mark.parametrize("kind", KINDS)


class Shown(nn.Module):
    """All that a recurrent layer returns, in one tensor."""

    def __init__(self, layer: nn.Module, way: Recurring) -> None:
        super().__init__()
        self.layer = layer
        self.way = way

    def forward(self, data: Tensor, *state: Tensor) -> Tensor:
        hx = None if not state else state if len(state) > 1 else state[0]
        sequences = PackedSequence(data, self.way.batch_sizes()) if self.way.lengths else data
        output, last = self.layer(sequences, hx)
        shown = output.data if self.way.lengths else output
        parts = (shown, *last) if isinstance(last, tuple) else (shown, last)
        return torch.cat([part.flatten() for part in parts])


def function_of(way: Recurring) -> tuple[Any, list[Tensor]]:
    return as_function(Shown(way.layer(), way), True)


# ── T-84: vmap ───────────────────────────────────────────────────────────────────────────────


@each_way
def test_T84_vmap_over_weights_inputs_and_states(way: Recurring) -> None:
    function, weights = function_of(way)

    assert_vmap(function, stacked([*weights, way.data(), *way.state()]))


@each_way
def test_T84_vmap_over_weights_alone_without_a_first_state(way: Recurring) -> None:
    function, weights = function_of(way)
    data = way.data()

    assert_vmap(lambda *ws: function(*ws, data), stacked(weights))


@each_kind
def test_T84_vmap_over_the_weights_of_one_sequence(kind: str) -> None:
    way = Recurring(kind)
    function, weights = function_of(way)
    sequence, state = torch.randn(3, 3), [part[:, 0] for part in way.state()]

    assert_vmap(lambda *ws: function(*ws, sequence), stacked(weights))
    assert_vmap(lambda *ws: function(*ws, sequence, *state), stacked(weights))


@few_ways
def test_T84_vmap_inside_vmap(way: Recurring) -> None:
    function, weights = function_of(way)
    data = stacked([way.data()], 3)[0]

    def over_data(*ws: Tensor) -> Tensor:
        return vmap(lambda x: function(*ws, x))(data)

    assert_vmap(over_data, stacked(weights))


@few_ways
def test_T84_gradients_under_vmap_are_those_of_a_loop(way: Recurring) -> None:
    function, weights = function_of(way)
    batches, data = stacked(weights), way.data()

    found = vmap(grad(lambda ws: function(*ws, data).square().sum()))(batches)

    for index in range(2):
        leaves = [batch[index].clone().requires_grad_() for batch in batches]
        expected = torch.autograd.grad(function(*leaves, data).square().sum(), leaves)
        torch.testing.assert_close([part[index] for part in found], list(expected))


@few_ways
def test_T84_second_order_through_vmap_is_that_of_a_loop(way: Recurring) -> None:
    function, weights = function_of(way)
    leaves = [batch.requires_grad_() for batch in stacked(weights)]
    data = way.data()

    def second_order(outputs: Tensor) -> tuple[Tensor, ...]:
        first = torch.autograd.grad(outputs.square().sum(), leaves, create_graph=True)
        return torch.autograd.grad(sum(part.square().sum() for part in first), leaves)

    together = second_order(vmap(lambda *ws: function(*ws, data))(*leaves))
    loop = second_order(
        torch.stack([function(*(leaf[index] for leaf in leaves), data) for index in range(2)])
    )

    torch.testing.assert_close(together, loop)


@each_kind
def test_T84_vmap_over_the_weights_of_a_substituted_layer(kind: str) -> None:
    way = Recurring(kind)
    plain, data = way.layer(), way.data()
    net = DependentModule.stateless(plain)

    def use(*weights: Tensor) -> Tensor:
        net.substitute_from_list(weights)
        output, _ = net(data)
        return output

    assert_vmap(use, stacked(list(plain.parameters())))


class Doubling(nn.LSTM):
    """A user's subclass, with a forward of its own."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        output, last = super().forward(2 * input, hx)
        return 2 * output, last


class Named(nn.GRU):
    """One without."""


class Calling(nn.Module):
    """A user's own recurrent layer, which calls torch's functions by several names."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(Recurring("gru").layer().parameters())

    def forward(self, data: Tensor) -> Tensor:
        zeros = data.new_zeros(1, data.shape[1], 4)
        over_time, _ = torch.gru(
            data, zeros, list(self.weights), True, 1, 0.0, self.training, False, False
        )
        return torch.gru_cell(data[0], over_time[-1], *self.weights)


@pytest.mark.parametrize("make", [lambda: Doubling(3, 4), lambda: Named(3, 4), Calling])
def test_T84_vmap_over_the_weights_of_a_users_own_layer(make: Any) -> None:
    module = make()
    learner, data = Learner(module), torch.randn(3, 2, 3)

    def function(*weights: Tensor) -> Tensor:
        output = learner.functional(weights, True, data)
        return output[0] if isinstance(output, tuple) else output

    assert_vmap(function, stacked(list(module.parameters())))


# ── derivatives ──────────────────────────────────────────────────────────────────────────────


@few_ways
def test_each_derivative_of_a_layer_is_that_of_finite_differences(way: Recurring) -> None:
    function, weights = function_of(way)

    assert_every_derivative(function, [*weights, way.data(), *way.state()])


@few_ways
def test_forward_over_reverse_is_reverse_over_reverse(way: Recurring) -> None:
    function, weights = function_of(way)
    data, tangents = way.data(), [torch.randn_like(weight) for weight in weights]

    def loss(ws: list[Tensor]) -> Tensor:
        return function(*ws, data).square().sum()

    _, found = jvp(grad(loss), (weights,), (tangents,))

    leaves = [weight.clone().requires_grad_() for weight in weights]
    first = torch.autograd.grad(loss(leaves), leaves, create_graph=True)
    expected = torch.autograd.grad(first, leaves, tangents)
    torch.testing.assert_close(list(found), list(expected))


def test_an_lstm_in_single_precision_has_a_forward_mode() -> None:
    """torch's own has none: its kernel for the CPU is another one than in double precision."""
    layer = moved(nn.LSTM(3, 4).float())
    learner, data = Learner(layer), torch.randn(3, 2, 3)
    weights = [weight.detach() for weight in layer.parameters()]
    tangents = [torch.randn_like(weight) for weight in weights]

    def function(ws: list[Tensor]) -> Tensor:
        output, _ = learner.functional(ws, True, data.to(ws[0].dtype))
        return output

    _, single = jvp(function, (weights,), (tangents,))
    _, double = jvp(function, ([w.double() for w in weights],), ([t.double() for t in tangents],))

    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


# ── torch's kernel otherwise ─────────────────────────────────────────────────────────────────


@each_kind
def test_outside_of_transforms_torchs_kernel_runs(kind: str, monkeypatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise AssertionError("plain operations were used")

    monkeypatch.setattr(recurrent_calls.Kind, "plainly", refuse)
    monkeypatch.setattr(Replacing, "__enter__", refuse)
    way = Recurring(kind, lengths=(3, 2))
    function, weights = function_of(way)
    leaves = [weight.requires_grad_() for weight in weights]

    loss = function(*leaves, way.data()).square().sum()
    first = torch.autograd.grad(loss, leaves, create_graph=True)

    assert all(grad.requires_grad for grad in first)


def test_outside_of_transforms_a_layer_calls_what_torchs_calls() -> None:
    plain, data = nn.LSTM(3, 4), torch.randn(3, 2, 3)
    with Operators() as torchs:
        plain(data)

    net = DependentModule(deepcopy(plain))
    with Operators() as ours:
        net(data)

    assert ours.names == torchs.names


# ── T-25, T-86: which weights reach the kernel ───────────────────────────────────────────────


@each_way
def test_T25_substituted_weights_are_used_without_a_warning(way: Recurring) -> None:
    function, weights = function_of(way)
    leaves, data = [torch.randn_like(weight).requires_grad_() for weight in weights], way.data()

    found = function(*leaves, data)

    layer = Shown(way.layer(), way)
    layer.load_state_dict(dict(zip(layer.state_dict(), leaves, strict=True)))
    expected = layer(data)
    assert torch.equal(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), leaves),
        torch.autograd.grad(expected.square().sum(), list(layer.parameters())),
    )


class Scaled(nn.Module):
    """A parametrization that has a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.7))

    def forward(self, weight: Tensor) -> Tensor:
        return self.scale * weight


@each_kind
@pytest.mark.parametrize("is_converted", [False, True])
def test_T86_an_update_of_a_parametrized_weight_reaches_the_kernel(
    kind: str, is_converted: bool
) -> None:
    plain, data = Recurring(kind).layer(), torch.randn(3, 2, 3)
    net = DependentModule(deepcopy(plain)) if is_converted else deepcopy(plain)
    parametrize.register_parametrization(net, "weight_hh_l0", Scaled())
    net, original = DependentModule(net), plain.weight_hh_l0.clone()

    for scale in (0.7, 0.0, -1.5):
        with torch.no_grad():
            net.parametrizations.weight_hh_l0[0].scale.fill_(scale)
            plain.weight_hh_l0.copy_(scale * original)
        assert torch.equal(net(data)[0], plain(data)[0])


@each_kind
def test_T86_a_parametrized_layer_under_vmap_and_in_every_derivative(kind: str) -> None:
    way = Recurring(kind)
    layer = way.layer()
    parametrize.register_parametrization(layer, "weight_hh_l0", Scaled())
    learner, data = Learner(layer), way.data()
    weights = [weight.detach() for weight in layer.parameters()]

    def function(*ws: Tensor) -> Tensor:
        output, _ = learner.functional(list(ws), True, data)
        return output

    assert_vmap(function, stacked(weights))
    assert_every_derivative(function, weights)


# ── copies and types ─────────────────────────────────────────────────────────────────────────


def test_a_generated_layer_steps_plainly_by_itself() -> None:
    layer, batch = DependentLSTM(3, 4), torch.randn(2, 3, 2, 3)

    found = vmap(lambda data: layer(data)[0])(batch)

    expected = torch.stack([layer(data)[0] for data in batch])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

"""Recurrent layers as functions of their weights: torch's numbers, and each derivative."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from recurring import FEW, KINDS, WAYS, Recurring
from torch import Tensor
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, stacked

from metann import functional
from metann.errors import ArgumentError

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
each_way = pytest.mark.parametrize("way", WAYS, ids=str)
few_ways = pytest.mark.parametrize("way", FEW, ids=str)
each_kind = pytest.mark.parametrize("kind", KINDS)


def weights_of(way: Recurring) -> list[Tensor]:
    return [weight.detach() for weight in way.layer().parameters()]


def assert_same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


# ── torch's numbers ──────────────────────────────────────────────────────────────────────────


@each_way
def test_T89_outside_of_transforms_it_is_torchs_function(way: Recurring) -> None:
    arguments = way.data(), way.state(), weights_of(way)

    found, expected = way.ours(*arguments), way.torchs(*arguments)

    assert all(map(torch.equal, found, expected))


@each_way
def test_under_vmap_over_all_arguments_it_gives_torchs_numbers(way: Recurring) -> None:
    data, state, params = (
        stacked([way.data()])[0],
        stacked(way.state()),
        stacked(weights_of(way)),
    )

    found = torch.vmap(way.ours)(data, state, params)

    for index in range(2):
        expected = way.torchs(data[index], [s[index] for s in state], [p[index] for p in params])
        assert_same(tuple(part[index] for part in found), expected)


@few_ways
@pytest.mark.parametrize("which", ["data", "state", "params"])
def test_under_vmap_over_one_argument(way: Recurring, which: str) -> None:
    given = {"data": [way.data()], "state": way.state(), "params": weights_of(way)}
    batch = stacked(given[which])

    def call(function: Any, parts: list[Tensor]) -> Any:
        known = {**given, which: parts}
        return function(known["data"][0], known["state"], list(known["params"]))

    found = torch.vmap(lambda *parts: call(way.ours, [*parts]))(*batch)

    for index in range(2):
        expected = call(way.torchs, [part[index] for part in batch])
        assert_same(tuple(part[index] for part in found), expected)


@few_ways
def test_in_forward_mode_it_gives_torchs_numbers(way: Recurring) -> None:
    arguments = way.data(), way.state(), weights_of(way)
    tangents = torch.randn_like(arguments[0])

    found, _ = torch.func.jvp(lambda x: way.ours(x, *arguments[1:]), arguments[:1], (tangents,))

    assert_same(found, way.torchs(*arguments))


@few_ways
def test_without_a_first_state_it_starts_at_zero(way: Recurring) -> None:
    data, params = way.data(), weights_of(way)
    zeros = [torch.zeros_like(part) for part in way.state()]

    expected = way.torchs(data, zeros, params)

    assert all(map(torch.equal, way.ours(data, None, params), expected))
    batch = torch.vmap(lambda x: way.ours(x, None, params))(data.expand(2, *data.shape))
    assert_same(tuple(part[1] for part in batch), expected)


# ── the arguments ────────────────────────────────────────────────────────────────────────────


@each_kind
def test_T89_the_options_may_be_left_out(kind: str) -> None:
    way = Recurring(kind)
    layer, data = way.layer(), way.data()

    output, *_ = getattr(functional, kind)(data, None, list(layer.parameters()))

    assert torch.equal(output, layer(data)[0])


@each_kind
@pytest.mark.parametrize("lengths", [(), (3, 2)], ids=str)
def test_the_arguments_may_be_named(kind: str, lengths: tuple[int, ...]) -> None:
    way = Recurring(kind, lengths=lengths)
    data, state, params = way.data(), way.state(), weights_of(way)
    hx = state if kind == "lstm" else state[0]
    options = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": False}
    sequences: dict[str, Any] = {"input": data, "batch_first": False}
    if lengths:
        sequences = {"data": data, "batch_sizes": way.batch_sizes()}

    found = getattr(functional, kind)(
        **sequences, hx=hx, params=params, bidirectional=False, **options
    )

    assert all(map(torch.equal, found, way.torchs(data, state, params)))


@each_kind
def test_a_wrong_number_of_weights_is_an_error_under_transforms(kind: str) -> None:
    way = Recurring(kind)
    params = weights_of(way)[:-1]

    with pytest.raises(ArgumentError, match=r"ih, hh, bias_ih, bias_hh take 4 weights, got 3"):
        torch.vmap(lambda x: way.ours(x, None, params))(torch.randn(2, 3, 2, 3))


@each_kind
def test_a_state_of_another_shape_is_an_error_under_transforms(kind: str) -> None:
    way = Recurring(kind)
    params, state = weights_of(way), [part[:, :1] for part in way.state()]

    with pytest.raises(ArgumentError, match=rf"{kind} takes a first state of shapes .*\(1, 2, 4\)"):
        torch.vmap(lambda x: way.ours(x, state, params))(torch.randn(2, 3, 2, 3))


@each_kind
@pytest.mark.parametrize("shape", [(2, 3), (0, 2, 3)], ids=str)
def test_no_sequence_is_an_error_under_transforms(kind: str, shape: tuple[int, ...]) -> None:
    way = Recurring(kind)
    params = weights_of(way)

    with pytest.raises(ArgumentError, match=r"sequences in 3 dimensions, of one entry at least"):
        torch.vmap(lambda x: way.ours(x, None, params))(torch.randn(2, *shape))


# ── derivatives ──────────────────────────────────────────────────────────────────────────────


@few_ways
def test_each_derivative_is_that_of_finite_differences(way: Recurring) -> None:
    inputs = [way.data(), *way.state(), *weights_of(way)]
    states = len(way.state())

    def function(data: Tensor, *others: Tensor) -> Any:
        output, *last = way.ours(data, others[:states], list(others[states:]))
        return torch.cat([output.flatten(), *(part.flatten() for part in last)])

    assert_every_derivative(function, inputs)


# ── dropout ──────────────────────────────────────────────────────────────────────────────────

DROPPING = tuple(
    Recurring(kind, num_layers=2, bidirectional=True, dropout=0.5, lengths=lengths)
    for kind in KINDS
    for lengths in ((), (3, 2))
)
dropping = pytest.mark.parametrize("way", DROPPING, ids=str)


@dropping
def test_dropout_in_forward_mode_drops_what_torch_drops(way: Recurring) -> None:
    data, state, params = way.data(), way.state(), weights_of(way)
    torch.manual_seed(1)
    expected = way.torchs(data, state, params)

    torch.manual_seed(1)
    found, _ = torch.func.jvp(lambda x: way.ours(x, state, params), (data,), (data,))

    assert_same(found, expected)


@dropping
def test_dropout_of_the_same_randomness_drops_what_torch_drops(way: Recurring) -> None:
    data, state, params = stacked([way.data()])[0], way.state(), weights_of(way)
    torch.manual_seed(1)
    found = torch.vmap(lambda x: way.ours(x, state, params), randomness="same")(data)

    for index in range(2):
        torch.manual_seed(1)
        expected = way.torchs(data[index], state, params)
        assert_same(tuple(part[index] for part in found), expected)


@dropping
def test_dropout_of_different_randomness_drops_differently(way: Recurring) -> None:
    data, state, params = way.data(), way.state(), weights_of(way)

    found, *_ = torch.vmap(lambda x: way.ours(x, state, params), randomness="different")(
        data.expand(2, *data.shape)
    )

    assert not torch.allclose(found[0], found[1])


@dropping
def test_dropout_under_vmap_asks_which_randomness(way: Recurring) -> None:
    data, params = way.data(), weights_of(way)

    with pytest.raises(RuntimeError, match=r"called random operation while in randomness error"):
        torch.vmap(lambda x: way.ours(x, None, params))(data.expand(2, *data.shape))


def test_there_is_no_dropout_in_eval_mode() -> None:
    params = weights_of(Recurring("gru", num_layers=2))
    data = torch.randn(2, 3, 2, 3)

    found, _ = torch.vmap(lambda x: functional.gru(x, None, params, True, 2, 0.5, False))(data)

    assert_same(found[0], functional.gru(data[0], None, params, True, 2)[0])

"""T-84, T-89: recurrent cells, as functions of their weights and as modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transforming import (
    FORWARD_MODE_WARNS,
    as_function,
    assert_every_derivative,
    assert_vmap,
    moved,
    stacked,
)

from metann import DependentModule, Learner, functional
from metann.functional import cells

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
KINDS: dict[str, type[nn.RNNCellBase]] = {
    "rnn_tanh": nn.RNNCell,
    "rnn_relu": nn.RNNCell,
    "gru": nn.GRUCell,
    "lstm": nn.LSTMCell,
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_bias = pytest.mark.parametrize("has_bias", [True, False])


def layer_of(kind: str, has_bias: bool = True) -> nn.Module:
    options: dict[str, Any] = {"nonlinearity": kind.removeprefix("rnn_")} if "rnn" in kind else {}
    return moved(KINDS[kind](3, 4, bias=has_bias, **options))


def weights_of(kind: str, has_bias: bool = True) -> list[Tensor]:
    return [weight.detach() for weight in layer_of(kind, has_bias).parameters()]


def called(owner: Any, kind: str, input: Tensor, state: list[Tensor], weights: list[Tensor]) -> Any:
    """The function of this name among torch's or ours."""
    return getattr(owner, f"{kind}_cell")(input, state if len(state) > 1 else state[0], *weights)


def states_of(kind: str) -> list[Tensor]:
    return [torch.randn(2, 4) for _ in range(2 if kind == "lstm" else 1)]


class Showing(nn.Module):
    """All that a cell returns, in one tensor."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, input: Tensor, *state: Tensor) -> Tensor:
        if not state:
            shown = self.cell(input)
        else:
            shown = self.cell(input, state if len(state) > 1 else state[0])
        return torch.cat(shown, -1) if isinstance(shown, tuple) else shown


@each_kind
@each_bias
def test_T89_outside_of_transforms_a_cell_is_torchs(kind: str, has_bias: bool) -> None:
    arguments = torch.randn(2, 3), states_of(kind), weights_of(kind, has_bias)

    found, expected = called(functional, kind, *arguments), called(torch, kind, *arguments)

    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@each_kind
@each_bias
def test_T89_under_vmap_a_cell_gives_torchs_numbers(kind: str, has_bias: bool) -> None:
    batches = [torch.randn(2, 2, 3)], stacked(states_of(kind)), stacked(weights_of(kind, has_bias))

    found = torch.vmap(lambda x, s, w: called(functional, kind, x[0], s, w))(*batches)

    for index in range(2):
        x, state, weights = ([part[index] for part in batch] for batch in batches)
        expected = called(torch, kind, x[0], state, weights)
        element = found[index] if kind != "lstm" else tuple(part[index] for part in found)
        torch.testing.assert_close(element, expected, rtol=1e-12, atol=1e-12)


@each_kind
def test_the_step_of_a_layer_is_the_cell(kind: str) -> None:
    x, state, weights = torch.randn(2, 3), states_of(kind), cells.Weights(*weights_of(kind))
    step = getattr(cells, f"{kind.removeprefix('rnn_')}_step")

    found = step(weights.from_input(x), tuple(state), weights)

    expected = called(torch, kind, x, state, [*weights[:4]])
    assert_equal_parts(found, expected if isinstance(expected, tuple) else (expected,))


def assert_equal_parts(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@each_kind
@each_bias
def test_each_derivative_of_a_cell_is_that_of_finite_differences(kind: str, has_bias: bool) -> None:
    function, weights = as_function(Showing(layer_of(kind, has_bias)), True)

    assert_every_derivative(function, [*weights, torch.randn(2, 3), *states_of(kind)])


@each_kind
@each_bias
@pytest.mark.parametrize("has_state", [True, False])
@pytest.mark.parametrize("is_batch", [True, False])
def test_T84_vmap_over_the_weights_of_a_cell(
    kind: str, has_bias: bool, has_state: bool, is_batch: bool
) -> None:
    function, weights = as_function(Showing(layer_of(kind, has_bias)), True)
    inputs = [torch.randn(2, 3), *(states_of(kind) if has_state else [])]
    given = inputs if is_batch else [tensor[0] for tensor in inputs]

    assert_vmap(lambda *ws: function(*ws, *given), stacked(weights))
    assert_vmap(lambda *xs: function(*weights, *xs), stacked(given))


@each_kind
def test_T84_vmap_over_the_weights_of_a_substituted_cell(kind: str) -> None:
    plain, x = layer_of(kind), torch.randn(2, 3)
    net = DependentModule.stateless(Showing(plain))

    def use(*weights: Tensor) -> Tensor:
        net.substitute_from_list(weights)
        return net(x)

    assert_vmap(use, stacked(list(plain.parameters())))


@each_kind
def test_a_compiled_gradient_of_a_cell_is_one_graph(kind: str) -> None:
    learner, x = Learner(Showing(layer_of(kind))), torch.randn(2, 3)
    weights = [weight.detach() for weight in learner.module.parameters()]

    def gradients(ws: list[Tensor]) -> Any:
        return torch.func.grad(lambda given: learner.functional(given, True, x).sum())(ws)

    torch.compiler.reset()
    found = torch.compile(gradients, backend="eager", fullgraph=True)(weights)

    torch.testing.assert_close(found, gradients(weights))

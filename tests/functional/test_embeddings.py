"""Rows of a table: torch's numbers, and every derivative; forward mode agrees with reverse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import grad, jacrev, jvp
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, assert_vmap

from metann import DependentModule, Learner, functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

# Row 1 is looked up three times, row 2 never.
INDICES = torch.tensor([[0, 1, 1], [4, 3, 1]])
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"padding_idx": 1},
    {"padding_idx": 0},
    {"padding_idx": -2},
    {"max_norm": 0.8},
    {"max_norm": 0.8, "norm_type": 1.0, "padding_idx": 1},
    {"scale_grad_by_freq": True},
    {"scale_grad_by_freq": True, "padding_idx": 1},
    {"sparse": True},
    {"sparse": True, "padding_idx": 1, "max_norm": 0.8},
)
# The gradient divided by frequency is no derivative: in forward mode there is no such division.
DERIVED = [options for options in OPTIONS if "scale_grad_by_freq" not in options]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)
each_derived = pytest.mark.parametrize("options", DERIVED, ids=str)


def table() -> Tensor:
    return torch.randn(5, 3)


def torchs(indices: Tensor, weight: Tensor, options: dict[str, Any]) -> Tensor:
    """On a copy, as torch may write into it."""
    return F.embedding(indices, weight.clone(), **options)


def torchs_gradient(weight: Tensor, upstream: Tensor, options: dict[str, Any]) -> Tensor:
    leaf = weight.clone().requires_grad_()
    return torch.autograd.grad(torchs(INDICES, leaf, options), leaf, upstream)[0].to_dense()


@each_option
def test_outside_of_transforms_it_is_torchs(options) -> None:
    weight = table()

    found = functional.embedding(INDICES, weight.clone(), **options)

    assert torch.equal(found, torchs(INDICES, weight, options))


@each_option
@pytest.mark.parametrize("batched", [(None, 0), (0, None), (0, 0), (1, 2)], ids=str)
def test_under_vmap_it_gives_torchs_numbers(options, batched) -> None:
    of_indices, of_weight = batched
    many = torch.stack([INDICES, INDICES.flip(1), INDICES.roll(1, 0)], of_indices or 0)
    weights = torch.randn([(3, 5, 3), (5, 3, 3), (5, 3, 3)][of_weight or 0])
    indices = INDICES if of_indices is None else many
    weight = table() if of_weight is None else weights

    found = torch.vmap(lambda i, w: functional.embedding(i, w, **options), in_dims=batched)(
        indices, weight
    )

    for number, rows in enumerate(found):
        i = indices if of_indices is None else indices.select(of_indices, number)
        w = weight if of_weight is None else weight.select(of_weight, number)
        torch.testing.assert_close(rows, torchs(i, w, options), rtol=1e-14, atol=1e-14)


@each_option
def test_gradients_computed_in_a_batch_are_torchs(options) -> None:
    weights, upstream = torch.randn(2, 5, 3), torch.randn(2, 3, 3)

    def loss(weight: Tensor) -> Tensor:
        return (functional.embedding(INDICES, weight, **options) * upstream).sum()

    found = torch.vmap(grad(loss))(weights)

    wanted = torch.stack([torchs_gradient(w, upstream, options) for w in weights])
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=1e-14)


@each_derived
def test_forward_mode_agrees_with_reverse(options) -> None:
    weight, direction = table(), table()

    found = jvp(lambda w: functional.embedding(INDICES, w, **options), (weight,), (direction,))[1]

    for number in range(found.numel()):
        upstream = torch.zeros(found.numel())
        upstream[number] = 1
        slope = torchs_gradient(weight, upstream.view_as(found), options)
        torch.testing.assert_close((slope * direction).sum(), found.reshape(-1)[number])


def test_forward_mode_knows_no_frequencies() -> None:
    weight, direction = table(), table()

    def rows(w: Tensor) -> Tensor:
        return functional.embedding(INDICES, w, scale_grad_by_freq=True)

    found = jvp(rows, (weight,), (direction,))[1]

    torch.testing.assert_close(found, direction[INDICES])


def test_each_derivative_is_that_of_finite_differences() -> None:
    assert_every_derivative(lambda w: functional.embedding(INDICES, w).sin(), [table()])


def test_an_infinite_row_of_padding_has_a_derivative_of_zero() -> None:
    weight = table()
    weight[1] = -torch.inf

    rows, moved = jvp(
        lambda w: functional.embedding(INDICES, w, padding_idx=1), (weight,), (table(),)
    )

    assert torch.equal(rows, weight[INDICES])
    assert torch.equal(moved[INDICES == 1], torch.zeros(3, 3))


def test_rows_are_shortened_without_writing_into_the_table() -> None:
    weights = torch.randn(2, 5, 3)
    before = weights.clone()

    found = torch.vmap(lambda w: functional.embedding(INDICES, w, max_norm=0.5))(weights)

    assert torch.equal(weights, before)
    assert (found.norm(dim=-1) <= 0.5).all()
    assert (found.norm(dim=-1) > 0.49).any()


def test_a_row_of_padding_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"padding_idx 5 is no row of 5"):
        torch.vmap(lambda w: functional.embedding(INDICES, w, padding_idx=5))(torch.randn(2, 5, 3))


# ── the layer ────────────────────────────────────────────────────────────────────────────────


@each_option
def test_a_layer_with_many_tables_gives_torchs_rows(options) -> None:
    learner = Learner(nn.Embedding(5, 3, **options))

    assert_vmap(lambda w: learner.functional([w], True, INDICES), [torch.randn(3, 5, 3)])


@each_option
def test_forward_over_reverse_is_reverse_over_reverse(options) -> None:
    net = nn.Embedding(5, 3, **options)
    learner = Learner(net)
    weight, direction = table(), table()

    def loss(w: Tensor) -> Tensor:
        return learner.functional([w], True, INDICES).sin().sum()

    leaf = weight.clone().requires_grad_()
    slope = torch.autograd.grad(loss(leaf), leaf, create_graph=True)[0].to_dense()
    wanted = torch.autograd.grad(slope, leaf, direction)[0].to_dense()

    found = jvp(grad(loss), (weight,), (direction,))[1]

    torch.testing.assert_close(found, wanted)


def test_a_users_own_call_under_vmap_is_replaced() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(table())

        def forward(self, indices: Tensor) -> Tensor:
            return F.embedding(indices, self.table, padding_idx=1, max_norm=0.7, sparse=True)

    learner = Learner(Net())

    assert_vmap(lambda w: learner.functional([w], True, INDICES), [torch.randn(3, 5, 3)])


def test_a_converted_layer_is_batched_too() -> None:
    net = DependentModule(nn.Embedding(5, 3, padding_idx=1, max_norm=0.7))

    def rows(weight: Tensor) -> Any:
        return torch.func.functional_call(net, {"weight": weight}, (INDICES,))

    assert_vmap(rows, [torch.randn(3, 5, 3)])


def test_the_jacobian_of_sparse_gradients_is_dense() -> None:
    learner = Learner(nn.Embedding(5, 3, sparse=True))

    found = torch.vmap(jacrev(lambda w: learner.functional([w], True, INDICES)))(
        torch.randn(2, 5, 3)
    )

    wanted = torch.eye(5)[INDICES].unsqueeze(2).unsqueeze(-1) * torch.eye(3).unsqueeze(1)
    torch.testing.assert_close(found, wanted.expand(2, *wanted.shape))

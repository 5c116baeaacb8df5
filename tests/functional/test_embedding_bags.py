"""Embedding bags: torch's numbers, and every derivative, also of torch's own kernels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from bags import BY_FREQUENCY, FLAT, SPARSE, TABLE, WAYS, Bags
from torch import Tensor, nn
from torch.func import grad
from transforming import (
    FORWARD_MODE_WARNS,
    assert_every_derivative,
    assert_second_order,
    assert_vmap,
    stacked,
)

from metann import Learner, functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
EVERY = [*WAYS, *BY_FREQUENCY, *SPARSE]
each_way = pytest.mark.parametrize("way", EVERY, ids=str)
# What is empty has no derivative to check; a shortened row has one by definition.
DERIVED = [way for way in WAYS if way.indices.numel() and "max_norm" not in way.options]
each_derived = pytest.mark.parametrize("way", DERIVED, ids=str)


def ours(way: Bags, *tensors: Tensor) -> Tensor:
    return functional.embedding_bag(way.indices, **way.arguments(*tensors))


@each_way
def test_outside_of_transforms_it_is_torchs(way: Bags) -> None:
    weight, *factors = way.tensors()

    assert torch.equal(ours(way, weight.clone(), *factors), way.torchs(weight, *factors))


@each_way
def test_under_vmap_it_gives_torchs_numbers(way: Bags) -> None:
    batches = stacked(way.tensors())

    found = torch.vmap(lambda *tensors: ours(way, *tensors))(*batches)

    for number, bags in enumerate(found):
        wanted = way.torchs(*(batch[number] for batch in batches))
        torch.testing.assert_close(bags, wanted, rtol=1e-14, atol=1e-14)


@each_derived
def test_each_derivative_is_that_of_finite_differences(way: Bags) -> None:
    assert_every_derivative(lambda *tensors: ours(way, *tensors), way.tensors())


@each_derived
def test_torchs_own_function_has_a_second_derivative(way: Bags) -> None:
    Learner(nn.Linear(1, 1))

    assert_second_order(lambda *tensors: way.torchs(*tensors).sin(), way.tensors())


@each_way
def test_the_gradient_is_torchs_with_a_graph_and_in_a_batch(way: Bags) -> None:
    batches = stacked(way.tensors())
    upstream = torch.randn_like(way.torchs(*way.tensors()))

    def loss(*tensors: Tensor) -> Tensor:
        return (ours(way, *tensors) * upstream).sum()

    together = torch.vmap(grad(loss, tuple(range(len(batches)))))(*batches)

    for number in range(2):
        leaves = [batch[number].clone().requires_grad_() for batch in batches]
        output = (way.torchs(*leaves) * upstream).sum()
        once = torch.autograd.grad(output, leaves, retain_graph=True)
        graph = torch.autograd.grad(output, leaves, create_graph=True)
        for one, other, batch in zip(once, graph, together, strict=True):
            assert one.layout is other.layout
            torch.testing.assert_close(other.to_dense(), one.to_dense(), rtol=1e-14, atol=1e-14)
            torch.testing.assert_close(batch[number], one.to_dense(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_each_row_is_divided_by_its_own_frequency(mode: str) -> None:
    """Not so by torch's kernel for the CPU: pytorch#190063."""
    way = Bags(FLAT, (0,), {"mode": mode, "scale_grad_by_freq": True})
    weight, upstream = torch.randn(5, 3), torch.randn(1, 3)
    share = 1 if mode == "sum" else 1 / len(FLAT)
    wanted = torch.zeros(5, 3)
    wanted[FLAT.unique()] = upstream * share

    found = torch.vmap(grad(lambda w: (ours(way, w) * upstream).sum()))(weight[None])[0]
    leaf = weight.clone().requires_grad_()
    graph = torch.autograd.grad(
        ours(way, leaf), leaf, upstream.requires_grad_(), create_graph=True
    )[0]

    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(graph, wanted)


@pytest.mark.parametrize("way", SPARSE, ids=str)
def test_sparse_gradients_can_be_differentiated(way: Bags) -> None:
    dense = Bags(way.indices, way.offsets, {**way.options, "sparse": False}, way.weighted)
    tensors = way.tensors()
    found = []
    for each in (way, dense):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        slopes = torch.autograd.grad(each.torchs(*leaves).sin().sum(), leaves, create_graph=True)
        norm = torch.stack([slope.to_dense().square().sum() for slope in slopes]).sum()
        found.append([slope.to_dense() for slope in torch.autograd.grad(norm, leaves)])

    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_indices_and_offsets_may_be_batched(mode: str) -> None:
    weight = torch.randn(5, 3)
    indices = torch.randint(5, (4, 6))
    offsets = torch.tensor([[0, 2, 2], [0, 0, 5], [0, 1, 6], [0, 3, 4]])

    def bags(i: Tensor, o: Tensor) -> Tensor:
        return functional.embedding_bag(i, weight, o, mode=mode, padding_idx=1)

    assert_vmap(bags, (indices, offsets))
    assert_vmap(lambda i: bags(i, offsets[0]), (indices,))
    assert_vmap(lambda o: bags(indices[0], o), (offsets,))
    assert_vmap(
        lambda i: functional.embedding_bag(i, weight, mode=mode), (indices.reshape(4, 2, 3),)
    )


def test_of_equal_maxima_the_first_has_the_derivative() -> None:
    weight = torch.ones(5, 3)
    way = Bags(FLAT, (0, 3), {"mode": "max"})
    leaf = weight.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(way.torchs(leaf).sum(), leaf)

    found = torch.vmap(grad(lambda w: ours(way, w).sum()))(weight[None])[0]

    assert torch.equal(found, wanted)


def test_a_maximum_that_is_no_number_is_none() -> None:
    weight = torch.randn(2, 5, 3)
    weight[:, 0] = torch.nan
    way = Bags(TABLE, None, {"mode": "max"})

    found = torch.vmap(lambda w: ours(way, w))(weight)

    assert found[:, 0].isnan().all()
    assert not found[:, 1].isnan().any()


def test_infinite_rows_are_left_out_as_padding() -> None:
    weight = torch.randn(2, 5, 3)
    weight[:, 1] = torch.inf

    for mode in ("sum", "mean", "max"):
        way = Bags(TABLE, None, {"mode": mode, "padding_idx": 1})
        found = torch.vmap(lambda w, way=way: ours(way, w))(weight)

        torch.testing.assert_close(found, torch.stack([way.torchs(w) for w in weight]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"indices": TABLE, "mode": "median"}, r"one of sum, mean, max, got 'median'"),
        ({"indices": FLAT}, r"2 dimensions without offsets .* got 1 without"),
        ({"indices": TABLE, "offsets": torch.tensor([0])}, r"or of 1 with them, got 2 with"),
        ({"indices": TABLE, "factors": torch.ones(2, 3)}, r"need mode='sum', got 'mean'"),
        (
            {"indices": TABLE, "factors": torch.ones(2, 1), "mode": "sum"},
            r"shape of the indices, \(2, 3\), got \(2, 1\)",
        ),
        ({"indices": TABLE, "padding_idx": -6}, r"padding_idx -6 is no row of 5"),
    ],
    ids=lambda value: "" if isinstance(value, str) else ",".join(value),
)
def test_arguments_that_do_not_go_together_are_an_error(arguments, message: str) -> None:
    given = dict(arguments)
    indices, factors = given.pop("indices"), given.pop("factors", None)
    weights = torch.randn(2, 5, 3)

    with pytest.raises(ValueError, match=message):
        torch.vmap(
            lambda w: functional.embedding_bag(indices, w, per_sample_weights=factors, **given)
        )(weights)
    with pytest.raises((ValueError, NotImplementedError, RuntimeError)):
        F.embedding_bag(indices, weights[0], per_sample_weights=factors, **given)


# ── the layer ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("max_norm", [None, 0.8])
def test_a_layer_with_many_tables_gives_torchs_bags(mode: str, max_norm: float | None) -> None:
    learner = Learner(nn.EmbeddingBag(5, 3, mode=mode, max_norm=max_norm))

    def bags(weight: Tensor) -> Tensor:
        return learner.functional([weight], True, FLAT, torch.tensor([0, 2]))

    assert_vmap(bags, [torch.randn(3, 5, 3)])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_second_derivative_through_an_inner_step_is_that_of_finite_differences(mode) -> None:
    learner = Learner(nn.Sequential(nn.EmbeddingBag(5, 3, mode=mode), nn.Linear(3, 2)))

    def after_one_step(*weights: Tensor) -> Tensor:
        loss = learner.functional([*weights], True, TABLE).sin().sum()
        slopes = torch.autograd.grad(loss, weights, create_graph=True)
        moved = [w - 0.1 * slope for w, slope in zip(weights, slopes, strict=True)]
        return learner.functional(moved, True, TABLE).cos().sum()

    weights = [p.detach().clone().requires_grad_() for p in learner.module.parameters()]
    assert torch.autograd.gradcheck(after_one_step, weights, fast_mode=True)
    assert torch.autograd.gradgradcheck(after_one_step, weights, fast_mode=True)

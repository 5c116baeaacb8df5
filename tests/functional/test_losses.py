"""Losses and distances: torch's numbers, all derivatives, and batches."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from plainly import assert_forward_mode_is_reverse_mode, assert_same_as_torchs, plainly
from torch import Tensor
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, assert_vmap

from metann import functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

each_reduction = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
LEGACY = "ignore:size_average and reduce args will be deprecated:UserWarning"


def signs(*shape: int) -> Tensor:
    return torch.randn(shape).sign()


@each_reduction
@pytest.mark.parametrize("delta", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_huber_loss(reduction: str, delta: float, weighted: bool) -> None:
    weight = torch.rand(3, 4) if weighted else None
    options = {"reduction": reduction, "delta": delta, "weight": weight}
    ours, torchs = partial(functional.huber_loss, **options), partial(F.huber_loss, **options)
    pair = torch.randn(3, 4), torch.randn(3, 4)

    assert_same_as_torchs(ours, torchs, *pair)
    assert_every_derivative(ours, pair)
    assert_vmap(ours, [torch.randn(2, 3, 4), torch.randn(2, 3, 4)])


@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
def test_huber_loss_broadcasts() -> None:
    assert_same_as_torchs(functional.huber_loss, F.huber_loss, torch.randn(3, 4), torch.randn(4))


def test_huber_loss_of_equal_values_has_torchs_second_derivative() -> None:
    x = torch.randn(4)
    second = torch.func.jacfwd(torch.func.grad(lambda v: functional.huber_loss(v, x)))(x)

    torch.testing.assert_close(second, torch.eye(4) / 4)


def test_huber_loss_refuses_weights_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"Weights and input must have the same size"):
        plainly(functional.huber_loss, torch.randn(3), torch.randn(3), weight=torch.rand(2))


@each_reduction
def test_soft_margin_loss(reduction: str) -> None:
    ours = partial(functional.soft_margin_loss, reduction=reduction)
    target = signs(3, 4)

    assert_same_as_torchs(
        ours, partial(F.soft_margin_loss, reduction=reduction), torch.randn(3, 4), target
    )
    assert_every_derivative(lambda x: ours(x, target), [torch.randn(3, 4)])
    assert_vmap(ours, [torch.randn(2, 3, 4), signs(2, 3, 4)])


@pytest.mark.filterwarnings(LEGACY)
@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_the_older_arguments_of_a_loss(size_average: bool | None, reduce: bool | None) -> None:
    options = {"size_average": size_average, "reduce": reduce}
    for name, target in (
        ("soft_margin_loss", signs(3, 4)),
        ("multi_margin_loss", torch.tensor([3, 0, 1])),
        ("multilabel_margin_loss", torch.tensor([[3, 0, -1, 1], [-1, 0, 1, 2], [1, 2, 3, 0]])),
    ):
        ours, torchs = getattr(functional, name), getattr(F, name)
        pair = torch.randn(3, 4), target
        assert_same_as_torchs(partial(ours, **options), partial(torchs, **options), *pair)


@pytest.mark.parametrize(
    "name", ["huber_loss", "soft_margin_loss", "gaussian_nll_loss", "multilabel_margin_loss"]
)
def test_a_reduction_that_there_is_not(name: str) -> None:
    tensors = [torch.ones(3, dtype=torch.int64 if "label" in name else None) for _ in range(3)]
    given = tensors if name == "gaussian_nll_loss" else tensors[:2]

    with pytest.raises(ValueError, match=r"most is not (a )?valid"):
        plainly(getattr(functional, name), *given, reduction="most")


# The means, and the variances that fit them.
VARIANCES = (((3, 4), (3, 4)), ((3, 4), (3,)), ((3, 4), (3, 1)), ((2, 3, 4), (2, 1, 4)))


@each_reduction
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("shape", "variances"), VARIANCES, ids=str)
def test_gaussian_nll_loss(reduction: str, full: bool, shape: tuple, variances: tuple) -> None:
    options = {"full": full, "reduction": reduction}
    ours = partial(functional.gaussian_nll_loss, **options)
    inputs = torch.randn(shape), torch.randn(shape), torch.rand(variances) + 0.1

    assert_same_as_torchs(ours, partial(F.gaussian_nll_loss, **options), *inputs)
    assert_every_derivative(ours, inputs)
    assert_vmap(ours, [torch.stack([t, 1.5 * t]) for t in inputs])


def test_gaussian_nll_loss_with_one_variance() -> None:
    pair = torch.randn(3, 4), torch.randn(3, 4)

    assert_same_as_torchs(
        partial(functional.gaussian_nll_loss, var=0.7), partial(F.gaussian_nll_loss, var=0.7), *pair
    )


def test_below_eps_the_derivatives_of_gaussian_nll_loss_are_those_of_reverse_mode() -> None:
    ours = partial(functional.gaussian_nll_loss, eps=0.5, reduction="none")
    inputs = torch.randn(3, 4), torch.randn(3, 4), torch.rand(3, 4)
    assert (inputs[2] < 0.5).any()

    assert_same_as_torchs(ours, partial(F.gaussian_nll_loss, eps=0.5, reduction="none"), *inputs)
    assert_forward_mode_is_reverse_mode(ours, inputs)


def test_a_negative_variance_is_found_inside_of_transforms() -> None:
    x, var = torch.randn(2, 3), torch.tensor([[0.1, 0.2, 0.3], [0.1, -0.2, 0.3]])

    for given in (var, -0.5):
        with pytest.raises(ValueError, match=r"var has negative entry"):
            plainly(functional.gaussian_nll_loss, x, x, given)
    with pytest.raises(ValueError, match=r"var has negative entry"):
        torch.vmap(functional.gaussian_nll_loss)(x, x, var)
    with pytest.raises(ValueError, match=r"var has negative entry"):
        torch.func.jvp(lambda v: functional.gaussian_nll_loss(x, x, v), (var,), (var,))


@pytest.mark.parametrize("shape", [(2, 4), (3, 2), (4,), (3, 4, 1)])
def test_variances_of_another_shape(shape: tuple) -> None:
    for loss in (functional.gaussian_nll_loss, F.gaussian_nll_loss):
        with pytest.raises(ValueError, match=r"var is of incorrect size"):
            plainly(loss, torch.randn(3, 4), torch.randn(3, 4), torch.rand(shape))


# The shapes of both, and the dimension of the vectors.
PAIRS = (
    ((3, 4), (3, 4), 1),
    ((3, 4), (3, 4), 0),
    ((3, 4), (4,), -1),
    ((3, 1), (1, 4), 1),
    ((2, 3, 4), (3, 1), 1),
    ((4,), (4,), 0),
)


@pytest.mark.parametrize(("first", "second", "dim"), PAIRS, ids=str)
def test_cosine_similarity(first: tuple, second: tuple, dim: int) -> None:
    ours = partial(functional.cosine_similarity, dim=dim)
    pair = torch.randn(first), torch.randn(second)

    assert_same_as_torchs(ours, partial(F.cosine_similarity, dim=dim), *pair)
    assert_every_derivative(ours, pair)
    assert_vmap(partial(functional.cosine_similarity, dim=-1), [torch.randn(2, 3, 4)] * 2)


def test_cosine_similarity_of_different_precision() -> None:
    for other in (torch.randn(3, 4, dtype=torch.float32), torch.randint(1, 5, (3, 4))):
        pair = torch.randn(3, 4), other
        assert_same_as_torchs(functional.cosine_similarity, F.cosine_similarity, *pair)


def test_below_eps_the_derivatives_of_cosine_similarity_are_those_of_reverse_mode() -> None:
    pair = torch.randn(5, 3), torch.randn(5, 3)
    lengths = torch.cat([tensor.norm(dim=1) for tensor in pair])
    assert lengths.min() < 1.5 < lengths.max()

    assert_same_as_torchs(
        partial(functional.cosine_similarity, eps=1.5), partial(F.cosine_similarity, eps=1.5), *pair
    )
    assert_forward_mode_is_reverse_mode(partial(functional.cosine_similarity, eps=1.5), pair)

"""Margin losses: torch's numbers with every option, all derivatives, and batches."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from plainly import assert_same_as_torchs, plainly
from torch import Tensor
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, assert_vmap

from metann import functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

each_reduction = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])

# The scores' shape and the right classes.
CLASSES = (((3, 4), [3, 0, 1]), ((4,), 2), ((4,), [2]), ((1, 4), [0]), ((3, 1), [0, 0, 0]))
# One label, several, none, all, one twice, one behind the end.
LABELS = [[3, 0, -1, 1], [-1, 0, 1, 2], [1, 2, 3, 0], [2, 2, -1, -1], [0, -1, -1, -1]]


@each_reduction
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("margin", [0.4, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "target"), CLASSES, ids=str)
def test_multi_margin_loss(
    reduction: str, p: int, margin: float, weighted: bool, shape: tuple, target: Any
) -> None:
    weight = torch.rand(shape[-1]) if weighted else None
    options = {"p": p, "margin": margin, "weight": weight, "reduction": reduction}
    ours = partial(functional.multi_margin_loss, **options)
    classes = torch.tensor(target)

    torchs = partial(F.multi_margin_loss, **options)
    assert_same_as_torchs(ours, torchs, torch.randn(shape), classes)
    assert_every_derivative(lambda x: ours(x, classes), [torch.randn(shape)])


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_multi_margin_loss_in_batches(p: int, weighted: bool) -> None:
    weight = torch.rand(4) if weighted else None
    ours = partial(functional.multi_margin_loss, p=p, weight=weight)
    scores, classes = torch.randn(2, 3, 4), torch.randint(4, (2, 3))

    assert_vmap(ours, [scores, classes])
    assert_vmap(torch.func.grad(ours), [scores, classes])
    assert_vmap(torch.func.hessian(ours), [scores, classes])


def test_multi_margin_loss_knows_two_powers() -> None:
    for loss in (functional.multi_margin_loss, F.multi_margin_loss):
        with pytest.raises(ValueError, match=r"only p == 1 and p == 2 supported"):
            plainly(loss, torch.randn(2, 3), torch.tensor([0, 1]), p=3)


@pytest.mark.parametrize("p", [1, 2])
def test_where_a_margin_is_just_kept_the_gradient_is_torchs(p: int) -> None:
    x, target = torch.tensor([[1.0, 0.0, 0.5]], requires_grad=True), torch.tensor([0])
    (torchs,) = torch.autograd.grad(F.multi_margin_loss(x, target, p), x)
    (again,) = torch.autograd.grad(functional.multi_margin_loss(x, target, p), x, create_graph=True)
    forward = torch.func.jacfwd(lambda v: functional.multi_margin_loss(v, target, p))(x.detach())

    torch.testing.assert_close(again.detach(), torchs, rtol=1e-15, atol=1e-15)
    torch.testing.assert_close(forward, torchs, rtol=1e-15, atol=1e-15)


def test_where_the_margin_of_a_label_is_just_kept_the_gradient_is_torchs() -> None:
    x, target = torch.tensor([[1.0, 0.0, 0.5]], requires_grad=True), torch.tensor([[0, -1, -1]])
    ours = functional.multilabel_margin_loss
    (torchs,) = torch.autograd.grad(F.multilabel_margin_loss(x, target), x)
    (again,) = torch.autograd.grad(ours(x, target), x, create_graph=True)
    forward = torch.func.jacfwd(lambda v: ours(v, target))(x.detach())

    torch.testing.assert_close(again.detach(), torchs, rtol=1e-15, atol=1e-15)
    torch.testing.assert_close(forward, torchs, rtol=1e-15, atol=1e-15)


@each_reduction
@pytest.mark.parametrize("labels", [LABELS, *LABELS, [[0, 1], [1, -1]], [[0]]], ids=str)
def test_multilabel_margin_loss(reduction: str, labels: Any) -> None:
    ours = partial(functional.multilabel_margin_loss, reduction=reduction)
    target = torch.tensor(labels)

    torchs = partial(F.multilabel_margin_loss, reduction=reduction)
    assert_same_as_torchs(ours, torchs, torch.randn(target.shape), target)
    assert_every_derivative(lambda x: ours(x, target), [torch.randn(target.shape)])


def test_multilabel_margin_loss_in_batches() -> None:
    scores, target = torch.randn(2, 3, 4), torch.tensor([LABELS[:3], LABELS[2:]])
    ours = functional.multilabel_margin_loss

    assert_vmap(ours, [scores, target])
    assert_vmap(torch.func.grad(ours), [scores, target])


@pytest.mark.parametrize("p", [1, 2])
def test_the_gradient_that_makes_a_graph_has_torchs_numbers(p: int) -> None:
    def both(loss: Tensor, x: Tensor) -> list[Tensor]:
        weights = torch.rand(loss.shape)
        return [
            torch.autograd.grad((weights * loss).sum(), x, retain_graph=True, create_graph=graph)[0]
            for graph in (False, True)
        ]

    x = torch.randn(5, 4, requires_grad=True)
    for loss in (
        F.multi_margin_loss(x, torch.tensor([3, 0, 1, 1, 2]), p, reduction="none"),
        F.multilabel_margin_loss(x, torch.tensor(LABELS), reduction="none"),
    ):
        functional.hardsigmoid(x)  # torch has been supplied since the first call of a form
        torchs, ours = both(loss, x)
        assert not torchs.requires_grad
        torch.testing.assert_close(ours.detach(), torchs, rtol=1e-14, atol=1e-14)

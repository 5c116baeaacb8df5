"""Hardsigmoid and RReLU: torch's numbers, all derivatives, and slopes drawn in batches."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from plainly import assert_same_as_torchs, plainly
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, assert_vmap

from metann import Learner, functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)


def test_hardsigmoid() -> None:
    # Both bends, where the derivative is zero.
    x = torch.cat([torch.linspace(-5.0, 5.0, 11), torch.randn(9)])

    assert_same_as_torchs(functional.hardsigmoid, F.hardsigmoid, x)
    assert_every_derivative(functional.hardsigmoid, [3 * torch.randn(4, 3)])
    assert_vmap(functional.hardsigmoid, [3 * torch.randn(2, 4, 3)])


def test_at_the_bends_of_hardsigmoid_the_gradient_is_torchs() -> None:
    x = torch.tensor([-3.0, 3.0, -2.999, 2.999, 0.0], requires_grad=True)
    (torchs,) = torch.autograd.grad(F.hardsigmoid(x).sum(), x)
    (again,) = torch.autograd.grad(functional.hardsigmoid(x).sum(), x, create_graph=True)
    forward = torch.func.jvp(functional.hardsigmoid, (x.detach(),), (torch.ones(5),))[1]

    # torch's kernel has the sixth in single precision, in float64 too.
    torch.testing.assert_close(again.detach(), torchs, rtol=1e-7, atol=0.0)
    torch.testing.assert_close(forward, again.detach(), rtol=1e-15, atol=0.0)


@pytest.mark.parametrize("name", ["hardsigmoid", "rrelu"])
def test_in_place_an_activation_writes_into_its_input(name: str) -> None:
    form, torchs = getattr(functional, name), getattr(F, name)
    given, expected = (torch.linspace(-4.0, 4.0, 7) for _ in range(2))
    torchs(expected, inplace=True)

    assert plainly(form, given, inplace=True) is given
    torch.testing.assert_close(given, expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", ["hardsigmoid", "rrelu"])
@pytest.mark.parametrize("training", [True, False])
def test_in_place_an_activation_has_all_derivatives(name: str, training: bool) -> None:
    options: dict[str, Any] = {"inplace": True}
    if name == "rrelu":
        options["training"] = training

    def function(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        # Of a copy: a leaf cannot be written into.
        return getattr(functional, name)(2 * x, **options)

    x = (2 * torch.randn(4, 3)).requires_grad_()
    assert gradcheck(function, [x], fast_mode=True, check_forward_ad=True)
    assert gradgradcheck(function, [x], fast_mode=True, check_fwd_over_rev=True)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bounds", [(1 / 8, 1 / 3), (0.2, 0.4), (0.3, 0.3)])
def test_rrelu(training: bool, bounds: tuple[float, float]) -> None:
    def ours(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        return functional.rrelu(x, *bounds, training)

    def torchs(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        return F.rrelu(x, *bounds, training)

    assert_same_as_torchs(ours, torchs, torch.randn(4, 3))
    x = torch.randn(4, 3, requires_grad=True)
    assert gradcheck(ours, [x], fast_mode=True, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(
        ours, [x], fast_mode=True, check_fwd_over_rev=True, check_batched_grad=True
    )


def test_rrelu_that_does_not_train_is_batched() -> None:
    assert_vmap(partial(functional.rrelu, lower=0.2, upper=0.4), [torch.randn(2, 4, 3)])


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("randomness", ["same", "different"])
def test_slopes_are_drawn_as_vmap_is_told(randomness: str, inplace: bool) -> None:
    x = torch.randn(50).repeat(2, 1)

    def function(row: Tensor) -> Tensor:
        return functional.rrelu(row, 0.2, 0.4, training=True, inplace=inplace)

    given = x.clone()
    found = torch.vmap(function, randomness=randomness)(given)
    slopes = found / x

    assert torch.equal(given, found if inplace else x)
    assert torch.equal(found[x > 0], x[x > 0])
    below = slopes[x < 0]
    assert 0.2 <= below.min() < 0.25
    assert 0.35 < below.max() <= 0.4
    assert torch.equal(slopes[0], slopes[1]) == (randomness == "same")


def test_without_being_told_vmap_draws_no_slopes() -> None:
    with pytest.raises(RuntimeError, match=r"randomness"):
        torch.vmap(partial(functional.rrelu, training=True))(torch.randn(2, 3))


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_weights_in_batches_before_rrelu(randomness: str) -> None:
    net = nn.Sequential(nn.Linear(3, 40), nn.RReLU(inplace=True))
    learner = Learner(net)
    x = torch.randn(5, 3)
    weights = [torch.randn(2, *p.shape) for p in net.parameters()]

    def function(*batch: Tensor) -> Tensor:
        return learner.functional(list(batch), True, x)

    found = torch.vmap(function, randomness=randomness)(*weights)

    for number, output in enumerate(found):
        before = F.linear(x, weights[0][number], weights[1][number])
        assert torch.equal(output > 0, before > 0)
        torch.testing.assert_close(output[before > 0], before[before > 0])
        assert (output / before).min() >= 1 / 8

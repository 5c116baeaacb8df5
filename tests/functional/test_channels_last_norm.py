"""Batch normalisation with the channels last: exact statistics, and torch's derivatives."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from metann import DependentModule
from metann.functional.channels_last_norm import channels_last_norm
from metann.layers import images
from metann.layers.images import no_second_derivative


def channels_last(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(*shape, dtype=dtype) + 0.3
    return x.contiguous(memory_format=torch.channels_last)


def affine(channels: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    return torch.randn(channels, dtype=dtype), torch.randn(channels, dtype=dtype)


@pytest.mark.parametrize("shape", [(4, 3, 5, 7), (3, 2, 5, 5), (8, 4, 7, 1)])
def test_outputs_and_running_statistics_are_torchs(shape: tuple[int, ...]) -> None:
    x, (weight, bias) = channels_last(*shape), affine(shape[1])
    mean, var = torch.randn(shape[1], dtype=x.dtype), torch.rand(shape[1], dtype=x.dtype)
    own = mean.clone(), var.clone()

    found = channels_last_norm(x, *own, weight, bias, 0.3, 1e-3)

    assert_close(found, F.batch_norm(x, mean, var, weight, bias, True, 0.3, 1e-3))
    assert_close(own, (mean, var))


def test_derivatives_are_right_to_second_order() -> None:
    x, (weight, bias) = channels_last(3, 2, 2, 4), affine(2)
    inputs = [each.requires_grad_() for each in (x, weight, bias)]

    def function(*args: Tensor) -> Tensor:
        return channels_last_norm(args[0], None, None, *args[1:], 0.1, 1e-2)

    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_requires_no_gradient_has_none(frozen: int) -> None:
    inputs = [channels_last(3, 2, 2, 4), *affine(2)]
    others = [each for index, each in enumerate(inputs) if index != frozen]
    for each in others:
        each.requires_grad_()

    output = channels_last_norm(inputs[0], None, None, *inputs[1:], 0.1, 1e-5)
    expected = F.batch_norm(inputs[0], None, None, *inputs[1:], True)

    cotangent = torch.randn_like(output)
    found = torch.autograd.grad(output, others, cotangent)
    assert_close(found, torch.autograd.grad(expected, others, cotangent))


def test_a_large_batch_in_single_precision_is_exact_to_rounding() -> None:
    x = channels_last(64, 4, 28, 28, dtype=torch.float32)
    own = torch.ones(4, dtype=x.dtype), torch.zeros(4, dtype=x.dtype)
    exact = F.batch_norm(x.double(), None, None, training=True)

    found = channels_last_norm(x, None, None, *own, 0.1, 1e-5).double()

    error = ((found - exact).square().mean() / exact.square().mean()).sqrt().item()
    assert error < 2 * torch.finfo(torch.float32).eps, "torch's own is 4 to 9 times as far off"


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("tracks", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_chain_of_layers_writes_the_buffers_that_torchs_does(
    momentum: float | None, tracks: bool, affine: bool
) -> None:
    norm = nn.BatchNorm2d(4, 1e-3, momentum, affine, tracks)
    torchs = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU()).float()
    ours = DependentModule(deepcopy(torchs))
    x = torch.randn(16, 3, 16, 16, dtype=torch.float32)

    for is_training in (True, True, False):
        torchs.train(is_training)
        ours.train(is_training)
        with no_second_derivative():
            assert_close(ours(x), torchs(x), rtol=1e-5, atol=1e-5)

    buffers = dict(ours.named_buffers())
    for name, expected in torchs.named_buffers():
        assert_close(buffers[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "is_taken"),
    [
        (lambda _: None, True),
        (lambda net: net.eval(), False),
        (lambda net: setattr(net[1], "momentum", None), False),
        (lambda net: net[1].register_parameter("weight", None), False),
        (lambda net: net[1].double(), False),
    ],
    ids=["as it is", "eval mode", "an average over all batches", "a bias alone", "other dtype"],
)
def test_when_it_takes_the_place_of_torchs(
    change: Callable[[nn.Module], None], is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []

    def noted(*args: Any) -> Tensor:
        taken.append(True)
        return channels_last_norm(*args)

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).float()
    change(net)
    ours = DependentModule(deepcopy(net))
    x = torch.randn(16, 3, 16, 16, dtype=torch.float32)

    monkeypatch.setattr(images, "channels_last_norm", noted)
    with no_second_derivative():
        assert_close(outcome(ours, x), outcome(net, x), rtol=1e-5, atol=1e-5)

    assert taken == [True] * is_taken


def outcome(net: nn.Module, x: Tensor) -> Any:
    """What a call returns, or the kind of error that it ends in."""
    try:
        return net(x)
    except RuntimeError:
        return torch.zeros(())


def test_too_few_values_are_torchs_own_error() -> None:
    reducing = nn.Conv2d(3, 4, 64), nn.BatchNorm2d(4)
    ours = DependentModule(nn.Sequential(*reducing).float())

    with no_second_derivative(), pytest.raises(ValueError, match=r"more than 1 value"):
        ours(torch.randn(1, 3, 64, 64, dtype=torch.float32))

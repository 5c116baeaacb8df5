"""Gradients, first and second, of a layer as a function of its weights and inputs.

Of one layer of each kind, and of each use of a layer for which torch has no right ones itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from every_layer import SAMPLES_OF, for_each_use_of
from measuring import (
    constructed,
    gradients,
    inputs_of,
    leaves_of,
    mapped,
    run,
    scalar,
    second_gradients,
    tensors_in,
)
from samples.sample import Sample, on
from torch import Tensor, nn

from metann import Learner

# One of each kind; all the others are compared with torch, which these show to be right.
CHOSEN = (
    nn.AdaptiveLogSoftmaxWithLoss,
    nn.BatchNorm1d,
    nn.Bilinear,
    nn.Conv2d,
    nn.ConvTranspose1d,
    nn.Embedding,
    nn.GroupNorm,
    nn.GRUCell,
    nn.LayerNorm,
    nn.Linear,
    nn.LinearCrossEntropyLoss,
    nn.LSTM,
    nn.ModuleList,
    nn.MultiheadAttention,
    nn.ParameterDict,
    nn.PReLU,
    nn.RMSNorm,
    nn.Sequential,
)
FIRST_SAMPLES = tuple(SAMPLES_OF[layer][0] for layer in CHOSEN)
WITHOUT_TORCH = [layer for layer, of in SAMPLES_OF.items() if any(s.second_order for s in of)]
WRONG_IN_TORCH = [layer for layer, of in SAMPLES_OF.items() if any(s.wrong_gradient for s in of)]


@pytest.mark.parametrize("sample", FIRST_SAMPLES, ids=str)
def test_functional_agrees_with_finite_differences(sample: Sample):
    function, leaves = _as_a_function(sample, training=True)

    assert torch.autograd.gradcheck(function, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True)


@for_each_use_of(WITHOUT_TORCH)
def test_where_torch_has_no_right_second_derivative_metann_has(sample: Sample, training: bool):
    """By the change of the gradient's squared norm along a random direction."""
    held = sample.held_constant
    if sample.has_second_order(training) or (held is not None and held.at_second_order):
        return
    function, leaves = _as_a_function(sample, training)

    def norm(*tensors: Tensor) -> Tensor:
        found = gradients(scalar(function(*tensors)), tensors)
        return torch.stack([gradient.to_dense().square().sum() for gradient in found]).sum()

    slopes = second_gradients(scalar(function(*leaves)), leaves, leaves)
    _assert_slopes(norm, leaves, slopes)


@for_each_use_of(WRONG_IN_TORCH)
def test_where_torchs_gradient_is_wrong_metanns_is_right(sample: Sample, training: bool):
    function, leaves = _as_a_function(sample, training)

    assert torch.autograd.gradcheck(function, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True)


def _assert_slopes(function: Callable[..., Tensor], at: list[Tensor], slopes: list[Tensor]) -> None:
    """The slopes are those of the function, along a random direction."""
    generator = torch.Generator().manual_seed(5)
    direction = [torch.randn(tensor.shape, generator=generator) for tensor in at]
    slope = torch.stack([(a * b).sum() for a, b in zip(slopes, direction, strict=True)]).sum()
    step = 1e-5

    def moved(distance: float) -> Tensor:
        pairs = zip(at, direction, strict=True)
        return function(*((t + distance * d).detach().requires_grad_() for t, d in pairs))

    difference = (moved(step) - moved(-step)) / (2 * step)
    torch.testing.assert_close(difference.detach(), slope, rtol=1e-5, atol=1e-8)


def _as_a_function(sample: Sample, training: bool) -> tuple[Callable[..., Any], list[Tensor]]:
    """The real outputs as a function of weights and real inputs, and where to test it."""
    plain = constructed(sample, sample.layer)
    weights = [parameter.detach().clone().requires_grad_() for parameter in plain.parameters()]
    inputs = inputs_of(sample)
    learner = Learner(plain)

    def function(*tensors: Tensor) -> tuple[Tensor, ...]:
        replaced = iter(tensors[len(weights) :])
        given = [inputs.args, inputs.kwargs]
        args, kwargs = mapped(lambda t: next(replaced) if t.requires_grad else t, given)
        with_weights = partial(learner.functional, tensors[: len(weights)], training)
        output = run(with_weights, on(*args, **kwargs))
        return tuple(t for t in tensors_in(output) if t.is_floating_point())

    return function, [*weights, *leaves_of(inputs)]

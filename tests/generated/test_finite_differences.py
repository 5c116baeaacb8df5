"""Gradients, first and second, of a layer as a function of its weights and inputs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from every_layer import SAMPLES_OF
from measuring import constructed, inputs_of, leaves_of, mapped, run, tensors_in
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


@pytest.mark.parametrize("sample", FIRST_SAMPLES, ids=str)
def test_functional_agrees_with_finite_differences(sample: Sample):
    function, leaves = _as_a_function(sample)

    assert torch.autograd.gradcheck(function, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True)


def _as_a_function(sample: Sample) -> tuple[Callable[..., Any], list[Tensor]]:
    """The real outputs as a function of weights and real inputs, and where to test it."""
    plain = constructed(sample, sample.layer)
    weights = [parameter.detach().clone().requires_grad_() for parameter in plain.parameters()]
    inputs = inputs_of(sample)
    learner = Learner(plain)

    def function(*tensors: Tensor) -> tuple[Tensor, ...]:
        replaced = iter(tensors[len(weights) :])
        given = [inputs.args, inputs.kwargs]
        args, kwargs = mapped(lambda t: next(replaced) if t.requires_grad else t, given)
        with_weights = partial(learner.functional, tensors[: len(weights)], True)
        output = run(with_weights, on(*args, **kwargs))
        return tuple(t for t in tensors_in(output) if t.is_floating_point())

    return function, [*weights, *leaves_of(inputs)]

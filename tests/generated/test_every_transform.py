"""Jacobians, forward mode, forward over reverse, and second order, of every counterpart."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from as_a_function import AsAFunction
from every_layer import SAMPLES_OF, for_each_use_of
from measuring import allowed_warnings, assert_same, gradients
from samples.sample import Sample
from torch import Tensor, nn
from torch.func import grad_and_value, jacrev, jvp

from metann.registry import generated_counterparts

# The first use of forward mode loads a part of torch that torch itself calls deprecated.
# Where vmap has no rule for a backward pass it loops, and says that this is slow.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated"),
    pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet"),
]
COUNTERPARTS = generated_counterparts()
EXACT = 1e-9
# torch's own kernel of its gradient takes 1 / 6 in single precision.
ROUNDED = {nn.Hardsigmoid: 1e-7}


@dataclass(frozen=True)
class Refused:
    """Samples for whose backward pass vmap, of which jacrev is made, has no or a wrong rule."""

    is_about: Callable[[Sample], bool]
    error: str


REFUSED = (
    # The gradient is a sparse tensor.
    Refused(lambda sample: sample.arguments.kwargs.get("sparse", False), "'SparseCPU' backend"),
    # Of one example in a cluster torch makes an index without dimensions; of two it does not.
    Refused(
        lambda sample: sample.layer is nn.AdaptiveLogSoftmaxWithLoss and not sample.note,
        "The expanded size of the tensor",
    ),
)


@for_each_use_of(COUNTERPARTS)
def test_T85_jacobians_by_jacrev_hold_the_gradient_of_each_output(sample: Sample, training: bool):
    function = AsAFunction(sample, training)
    arguments = tuple(range(len(function.leaves)))
    refused = [row for row in REFUSED if row.is_about(sample)]
    if refused:
        with pytest.raises(RuntimeError, match=re.escape(refused[0].error)):
            jacrev(function.outputs, arguments)(*function.leaves)
        return

    jacobians = jacrev(function.outputs, arguments)(*function.leaves)

    leaves = function.fresh()
    outputs = function.outputs(*leaves)
    # As it requires gradients, metann's own backward passes are compared, not torch's kernels.
    upstream = [direction.requires_grad_() for direction in directions(outputs)]
    wanted = gradients(dot(outputs, upstream), leaves, create_graph=True)
    by_output = [*zip(upstream, jacobians, strict=True)]
    found = [
        sum(torch.tensordot(u.detach(), of[i], u.dim()) for u, of in by_output) for i in arguments
    ]
    tolerance = ROUNDED.get(sample.layer, EXACT)
    assert_same(found, [tensor.detach().to_dense() for tensor in wanted], tolerance)


@for_each_use_of(COUNTERPARTS)
def test_T85_forward_mode_and_forward_over_reverse_agree_with_reverse_mode(
    sample: Sample, training: bool
):
    function = AsAFunction(sample, training)
    along, arguments = directions(function.leaves), tuple(range(len(function.leaves)))

    both = grad_and_value(function.value, arguments)
    _, (slope_changes, change) = jvp(both, tuple(function.leaves), tuple(along))

    if sample.arguments.kwargs.get("scale_grad_by_freq"):
        # That is no gradient of anything: its derivative is not symmetric.
        assert_same(scaled_by(1.0, slope_changes), differences(function, along), 1e-6)
        return
    leaves = function.fresh()
    slopes = gradients(function.value(*leaves), leaves, create_graph=True)
    slope = dot(slopes, along)
    wanted = gradients(slope, leaves)
    tolerance = ROUNDED.get(sample.layer, EXACT)
    assert_same(change, slope.detach(), tolerance)
    # Sums of large terms that nearly cancel: relative to the largest of them.
    largest = max(1.0, *(float(tensor.to_dense().abs().max()) for tensor in wanted))
    assert_same(scaled_by(largest, slope_changes), scaled_by(largest, wanted), tolerance)


def scaled_by(largest: float, tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.to_dense() / largest for tensor in tensors]


def differences(function: AsAFunction, along: Sequence[Tensor]) -> list[Tensor]:
    """The change of the gradient along a direction, by central differences."""
    step, slopes = 1e-5, grad_and_value(function.value, tuple(range(len(along))))
    after, before = (
        slopes(*(leaf + way * a for leaf, a in zip(function.leaves, along, strict=True)))[0]
        for way in (step, -step)
    )
    return [(a - b) / (2 * step) for a, b in zip(after, before, strict=True)]


@pytest.mark.parametrize("layer", COUNTERPARTS, ids=lambda layer: layer.__name__)
def test_T90_gradgradcheck_of_every_counterpart(layer: type[nn.Module]):
    """One use of each in train and in eval mode; the matrix asks this of all uses."""
    for training in (True, False):
        sample = next(s for s in SAMPLES_OF[layer] if derives_its_gradient(s, training))
        with allowed_warnings(sample):
            function = AsAFunction(sample, training)

            assert torch.autograd.gradgradcheck(function.outputs, function.fresh(), fast_mode=True)


def derives_its_gradient(sample: Sample, training: bool) -> bool:
    """Not where something is held constant, as torch means it to be."""
    held = sample.held_constant
    return held is None or training not in held.modes or not held.at_second_order


def directions(tensors: Sequence[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(6)
    return [torch.randn(tensor.shape, generator=generator) for tensor in tensors]


def dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    pairs = zip(left, right, strict=True)
    return torch.stack([(a.to_dense() * b).sum() for a, b in pairs]).sum()

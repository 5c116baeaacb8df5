"""The samples themselves, against torch alone: each one runs, and means what it says."""

from collections.abc import Iterator

import pytest
import torch
from every_layer import SAMPLES_OF, for_each_use_of
from measuring import (
    assert_same,
    constructed,
    gradients,
    inputs_of,
    leaves_of,
    run,
    scalar,
    second_gradients,
    torch_alone,
)
from samples import SAMPLES
from samples.sample import Sample
from torch import Tensor, nn

WITHOUT_SAMPLE = {
    nn.Module: "the base class: it has no parameters and no forward",
    nn.DataParallel: "cannot be converted, for it makes its own replicas: convert what it wraps",
}


@pytest.fixture(autouse=True)
def _torch_alone() -> Iterator[None]:
    """The claims are about torch, whatever else this process has converted before."""
    with torch_alone():
        yield


def test_every_public_layer_of_torch_has_a_sample():
    public = {value for value in vars(nn).values() if isinstance(value, type)}
    layers = {value for value in public if issubclass(value, nn.Module)}

    assert layers - set(SAMPLES_OF) == set(WITHOUT_SAMPLE)


def test_no_two_samples_have_the_same_name():
    names = [str(sample) for sample in SAMPLES]

    assert sorted(set(names)) == sorted(names)


@for_each_use_of(SAMPLES_OF)
def test_the_same_seeds_give_the_same_finite_output(sample: Sample, training: bool):
    once, again = (
        run(constructed(sample, sample.layer).train(training), inputs_of(sample)) for _ in range(2)
    )

    assert torch.isfinite(scalar(once))
    assert_same(again, once, tolerance=0.0)


@for_each_use_of(SAMPLES_OF)
def test_every_parameter_and_real_input_gets_a_gradient(sample: Sample, training: bool):
    value, leaves = _value_and_leaves(sample, training)
    found = [gradient.to_dense() for gradient in gradients(value, leaves)]

    assert leaves
    assert all(gradient.isfinite().all() for gradient in found)
    assert all(gradient.count_nonzero() > 0 for gradient in found)


@for_each_use_of(SAMPLES_OF)
def test_a_second_derivative_is_missing_only_where_the_sample_says_so(
    sample: Sample, training: bool
):
    value, leaves = _value_and_leaves(sample, training)
    if sample.has_second_order(training):
        assert any(g.count_nonzero() > 0 for g in second_gradients(value, leaves, leaves))
    elif sample.second_order.error is not None:  # None: torch gives a number, but a wrong one
        with pytest.raises(RuntimeError, match=sample.second_order.error):
            second_gradients(value, leaves, leaves)


@for_each_use_of(SAMPLES_OF)
def test_torchs_second_derivative_is_wrong_only_where_the_sample_says_so(
    sample: Sample, training: bool
):
    """By the change of the gradient's squared norm along a random direction."""
    raises = not sample.has_second_order(training) and sample.second_order.error is not None
    if raises:
        return  # which the test above asserts
    value, leaves = _value_and_leaves(sample, training)
    slopes = second_gradients(value, leaves, leaves)
    slope = sum((a * b).sum() for a, b in zip(slopes, _direction(leaves), strict=True))
    step = 1e-5
    after, before = (_norm_at(sample, training, distance) for distance in (step, -step))
    right = torch.isclose((after - before) / (2 * step), slope, rtol=1e-5, atol=1e-8)

    assert right.item() == sample.derives_its_output(training)


@for_each_use_of(SAMPLES_OF)
def test_torchs_gradient_is_wrong_only_where_the_sample_says_so(sample: Sample, training: bool):
    """By the change of the output along a random direction."""
    value, leaves = _value_and_leaves(sample, training)
    slopes = [gradient.to_dense() for gradient in gradients(value, leaves)]
    slope = sum((a * b).sum() for a, b in zip(slopes, _direction(leaves), strict=True))
    step = 1e-6
    after, before = (_value_and_leaves(sample, training, moved)[0] for moved in (step, -step))
    right = torch.isclose((after - before) / (2 * step), slope, rtol=1e-6, atol=1e-8)

    assert right.item() == sample.derives_its_output_once(training)


def _value_and_leaves(
    sample: Sample, training: bool, moved: float = 0.0
) -> tuple[Tensor, list[Tensor]]:
    module = constructed(sample, sample.layer).train(training)
    inputs = inputs_of(sample)
    leaves = [*module.parameters(), *leaves_of(inputs)]
    with torch.no_grad():
        for leaf, direction in zip(leaves, _direction(leaves), strict=True):
            leaf.add_(direction, alpha=moved)
    return scalar(run(module, inputs)), leaves


def _direction(leaves: list[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(leaf.shape, generator=generator) for leaf in leaves]


def _norm_at(sample: Sample, training: bool, moved: float) -> Tensor:
    found = gradients(*_value_and_leaves(sample, training, moved))
    return torch.stack([gradient.to_dense().square().sum() for gradient in found]).sum()

"""Every generated counterpart is its torch original: converted, and constructed by itself."""

import copy
import re

import torch
from every_layer import SAMPLES_OF, for_each_use_of
from measuring import (
    assert_same,
    constructed,
    copied,
    gradients,
    inputs_of,
    layer_of,
    leaves_of,
    run,
    scalar,
)
from samples.sample import Sample
from torch import nn

from metann import DependentModule
from metann.registry import counterpart_of, generated_counterparts

COUNTERPARTS = generated_counterparts()


def test_no_sample_is_of_a_layer_without_counterpart():
    """The other way round, a counterpart without sample fails each of the tests below."""
    assert set(SAMPLES_OF) - set(COUNTERPARTS) == set()


@for_each_use_of(COUNTERPARTS)
def test_conversion_changes_nothing_but_the_class(sample: Sample, training: bool):
    plain = constructed(sample, sample.layer).train(training)
    converted = DependentModule(copy.deepcopy(plain))

    assert type(layer_of(converted)) is counterpart_of(type(layer_of(plain)))
    assert isinstance(layer_of(converted), type(layer_of(plain)))
    assert all(isinstance(module, DependentModule) for module in converted.modules())
    assert repr(converted) == _with_counterparts_names(plain)
    assert list(converted.state_dict()) == list(plain.state_dict())
    assert [n for n, _ in converted.named_parameters()] == [n for n, _ in plain.named_parameters()]


@for_each_use_of(COUNTERPARTS)
def test_a_converted_layer_computes_the_same(sample: Sample, training: bool):
    plain = constructed(sample, sample.layer).train(training)
    _assert_computes_the_same(DependentModule(copy.deepcopy(plain)), plain, sample)


@for_each_use_of(COUNTERPARTS)
def test_without_gradients_too_where_torch_has_faster_paths(sample: Sample, training: bool):
    plain = constructed(sample, sample.layer).train(training)
    converted = DependentModule(copy.deepcopy(plain))
    inputs = inputs_of(sample)
    with torch.no_grad():
        assert_same(run(converted, inputs), run(plain, inputs), sample.tolerance)


@for_each_use_of(COUNTERPARTS)
def test_inputs_are_overwritten_only_as_torch_overwrites_them(sample: Sample, training: bool):
    plain = constructed(sample, sample.layer).train(training)
    left = []
    for module in (plain, DependentModule(copy.deepcopy(plain))):
        given = copied(inputs_of(sample))
        run(module, given, copies=False)
        left.append([given.args, given.kwargs])

    assert_same(*left, sample.tolerance)


@for_each_use_of(COUNTERPARTS)
def test_a_counterpart_constructed_like_its_original_computes_the_same(
    sample: Sample, training: bool
):
    plain = constructed(sample, sample.layer).train(training)
    direct = constructed(sample, counterpart_of(sample.layer), seed=6).train(training)
    direct.load_state_dict(plain.state_dict())

    assert type(layer_of(direct)) is counterpart_of(type(layer_of(plain)))
    assert all(isinstance(module, DependentModule) for module in layer_of(direct).modules())
    assert repr(layer_of(direct)) == _with_counterparts_names(layer_of(plain))
    _assert_computes_the_same(direct, plain, sample)


def _with_counterparts_names(module: nn.Module) -> str:
    """What the module's repr is once it is converted.

    Example: `Sequential((0): Tanh())` -> `DependentSequential((0): DependentTanh())`
    """
    text = repr(module)
    for kind in {type(submodule) for submodule in module.modules()}:
        text = re.sub(rf"\b{kind.__name__}\(", f"{counterpart_of(kind).__name__}(", text)
    return text


def _assert_computes_the_same(dependent: nn.Module, plain: nn.Module, sample: Sample) -> None:
    """Same output, same gradients, and same buffers afterwards."""
    inputs = inputs_of(sample)
    expected, output = run(plain, inputs), run(dependent, inputs)
    leaves = leaves_of(inputs)

    assert_same(output, expected, sample.tolerance)
    if not sample.wrong_gradient:  # test_finite_differences.py says what it is here
        assert_same(
            gradients(scalar(output), [*dependent.parameters(), *leaves]),
            gradients(scalar(expected), [*plain.parameters(), *leaves]),
            sample.tolerance,
        )
    assert_same(dict(dependent.named_buffers()), dict(plain.named_buffers()), sample.tolerance)

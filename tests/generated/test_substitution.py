"""Weights that are results of a computation: same outputs, and gradients reach their origin."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from every_layer import for_each_use_of
from measuring import (
    assert_same,
    constructed,
    gradients,
    inputs_of,
    leaves_of,
    run,
    scalar,
    second_gradients,
)
from samples.sample import Sample
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.registry import generated_counterparts

COUNTERPARTS = generated_counterparts()
SLOPE = 1.1


def leaves_for(module: nn.Module) -> dict[str, Tensor]:
    """For each parameter a leaf that requires gradients."""
    return {n: p.detach().clone().requires_grad_() for n, p in module.named_parameters()}


def computed_from(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that are not the module's, each computed from a leaf."""
    return {name: SLOPE * leaf + 0.01 for name, leaf in leaves.items()}


def loaded(module: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    """A plain copy whose parameters have these values."""
    copied = copy.deepcopy(module)
    with torch.no_grad():
        for name, parameter in copied.named_parameters():
            parameter.copy_(values[name])
    return copied


@for_each_use_of(COUNTERPARTS)
def test_cleared_dependents_have_the_names_and_order_of_the_parameters(
    sample: Sample, training: bool
):
    plain = constructed(sample, sample.layer).train(training)
    cleared = DependentModule(copy.deepcopy(plain)).clear_params(init=False)
    names = [name for name, _ in plain.named_parameters()]

    assert list(cleared.parameters()) == []
    assert list(cleared.named_dependents()) == [(name, None) for name in names]

    kept = DependentModule(copy.deepcopy(plain)).clear_params(init=True)

    assert set(kept.state_dict()) == set(plain.state_dict())
    assert_same(dict(kept.named_dependents()), _detached(plain.named_parameters()), 0.0)


@for_each_use_of(COUNTERPARTS)
def test_a_layer_with_substituted_weights(sample: Sample, training: bool):
    plain = constructed(sample, sample.layer).train(training)
    for by_name in (True, False):
        leaves = leaves_for(plain)
        weights = computed_from(leaves)
        cleared = DependentModule(copy.deepcopy(plain)).clear_params(init=False)
        if by_name:
            cleared.substitute(weights)
        else:
            cleared.substitute_from_list(weights.values())
        _assert_like_a_loaded_module(cleared, plain, leaves, training, sample)


@for_each_use_of(COUNTERPARTS)
def test_a_layer_as_a_function_of_its_weights(sample: Sample, training: bool):
    # In the other mode than the one asked for, which the call must not change.
    plain = constructed(sample, sample.layer).train(not training)
    before = copy.deepcopy(plain)
    tensors = [*plain.parameters(), *plain.buffers()]
    for by_name in (True, False):
        leaves = leaves_for(plain)
        weights = computed_from(leaves)
        params = weights if by_name else weights.values()
        function = partial(Learner(plain).functional, params, training)
        _assert_like_a_loaded_module(function, plain, leaves, training, sample)
    _assert_untouched(plain, before, tensors)


@for_each_use_of(COUNTERPARTS)
def test_a_call_with_the_modules_own_weights_writes_to_none_of_them(sample: Sample, training: bool):
    plain = constructed(sample, sample.layer).train(training)
    before = copy.deepcopy(plain)
    tensors = [*plain.parameters(), *plain.buffers()]
    run(partial(Learner(plain).functional, plain.parameters(), training), inputs_of(sample))

    _assert_untouched(plain, before, tensors)


def _assert_untouched(module: nn.Module, before: nn.Module, tensors: list[Tensor]) -> None:
    """Same classes, modes, tensor objects and values; no gradient was left behind."""
    for now, then in zip(module.modules(), before.modules(), strict=True):
        assert (type(now), now.training) == (type(then), then.training)
    for now, then in zip([*module.parameters(), *module.buffers()], tensors, strict=True):
        assert now is then
        assert now.grad is None
    assert_same(dict(module.state_dict()), dict(before.state_dict()), tolerance=0.0)


def _assert_like_a_loaded_module(
    function: Callable[..., Any],
    plain: nn.Module,
    leaves: dict[str, Tensor],
    training: bool,
    sample: Sample,
) -> None:
    """Its output is a loaded plain module's, and each leaf gets the parameter's gradient."""
    reference = loaded(plain, computed_from(leaves)).train(training)
    inputs = inputs_of(sample)
    real_inputs = leaves_of(inputs)
    output, expected = run(function, inputs), run(reference, inputs)
    assert_same(output, expected, sample.tolerance)
    if sample.wrong_gradient:
        return  # test_finite_differences.py says what it is here

    by_weight = gradients(scalar(expected), [*reference.parameters(), *real_inputs])
    count = len(leaves)
    by_leaf = [SLOPE * gradient for gradient in by_weight[:count]] + by_weight[count:]
    found = gradients(scalar(output), [*leaves.values(), *real_inputs])
    assert_same(found, by_leaf, sample.tolerance)


@for_each_use_of(COUNTERPARTS)
def test_second_order_gradients_are_those_of_a_loaded_module(sample: Sample, training: bool):
    if not sample.has_second_order(training):
        return  # torch has none that is right: test_finite_differences.py says what they are here
    plain = constructed(sample, sample.layer).train(training)
    leaves = leaves_for(plain)
    weights = computed_from(leaves)
    inputs = inputs_of(sample)
    real_inputs = leaves_of(inputs)
    # Not functional_call: it leaves the list of weights that nn.RNNBase keeps as it was.
    reference = loaded(plain, weights).train(training)
    parameters = list(reference.parameters())

    by_weight = second_gradients(
        scalar(run(reference, inputs)), [*parameters, *real_inputs], [*parameters, *real_inputs]
    )
    expected = [SLOPE * g for g in by_weight[: len(leaves)]] + by_weight[len(leaves) :]
    found = second_gradients(
        scalar(run(partial(Learner(plain).functional, weights, training), inputs)),
        [*weights.values(), *real_inputs],
        [*leaves.values(), *real_inputs],
    )
    # Sums of large terms that nearly cancel: relative to the largest of them.
    largest = max((float(gradient.abs().max()) for gradient in expected), default=1.0)
    assert_same([g / largest for g in found], [g / largest for g in expected], sample.tolerance)


def _detached(pairs: Any) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in pairs}

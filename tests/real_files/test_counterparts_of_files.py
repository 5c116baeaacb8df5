"""Real models converted to what `metann-generate` has written: their numbers are the plain ones."""

from __future__ import annotations

from copy import deepcopy

import torch
from every_file import both_modes, each_model, each_small_model
from outputs import Outputs
from real_files import Model, RealFile, called, made, named, positional
from same_numbers import (
    assert_same,
    assert_same_gradients,
    gradients,
    is_slope,
    loss_of,
    near,
    put,
    results,
)
from torch import Tensor

from metann import DependentModule, Learner


@each_model
def test_a_converted_model_is_of_the_written_classes_and_computes_what_it_did(
    outputs: Outputs, file: RealFile, model: Model
) -> None:
    written = outputs.counterparts(file)
    net, inputs = made(model, file.original()).eval(), model.inputs()
    converted = DependentModule(deepcopy(net))

    pairs = zip(net.modules(), converted.modules(), strict=True)
    own = [(old, new) for old, new in pairs if type(old).__module__ == file.module]
    assert own
    for old, new in own:
        name = f"Dependent{type(old).__name__.lstrip('_')}"
        assert type(new) is getattr(written, name)
        assert str(type(new)) == str(type(old))  # as libraries that look classes up need it
    assert list(converted.state_dict()) == list(net.state_dict())
    assert_same(called(converted, inputs), called(net, inputs))


@both_modes
@each_model
def test_outputs_and_gradients_under_computed_weights_are_the_plain_models(
    outputs: Outputs, file: RealFile, model: Model, training: bool
) -> None:
    outputs.counterparts(file)
    net, inputs = made(model, file.original()).train(training), model.inputs()
    weights = near(net)
    twin = put(weights, deepcopy(net))

    torch.manual_seed(1)
    found = Learner(net).functional(
        results(weights), training, *positional(inputs), **named(inputs)
    )
    torch.manual_seed(1)
    wanted = called(twin, inputs)

    assert_same(found, wanted)
    ours, theirs = gradients(found, weights), gradients(wanted, list(twin.parameters()))
    assert_same_gradients(ours, theirs)


@each_small_model
def test_a_step_through_a_gradient_step_equals_finite_differences(
    outputs: Outputs, file: RealFile, model: Model
) -> None:
    outputs.counterparts(file)
    net, inputs = made(model, file.original()).eval(), model.inputs()
    learner, weights = Learner(net), near(net)
    directions = [torch.randn_like(w) for w in weights]

    def output(values: list[Tensor]) -> object:
        return learner.functional(values, False, *positional(inputs), **named(inputs))

    def after_a_step(values: list[Tensor]) -> object:
        found = gradients(output(values), values, create_graph=True)
        return output([w - 0.1 * g for w, g in zip(values, found, strict=True)])

    def at(step: float) -> float:
        moved = [
            (w.detach() + step * d).requires_grad_()
            for w, d in zip(weights, directions, strict=True)
        ]
        return float(loss_of(after_a_step(moved)).detach())

    outer = gradients(after_a_step(weights), weights)
    slope = sum((g * d).sum() for g, d in zip(outer, directions, strict=True))
    assert is_slope(float(slope), at)

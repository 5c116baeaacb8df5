"""Real files rewritten by `metann-generate --rewrite`: their models have the same numbers."""

from __future__ import annotations

import torch
from every_file import both_modes, each_model
from outputs import Outputs
from real_files import Model, RealFile, called, made
from same_numbers import assert_same, assert_same_gradients, gradients, near, put, results
from torch import nn

from metann import DependentModule


@both_modes
@each_model
def test_a_model_of_the_rewritten_file_is_the_original_model(
    outputs: Outputs, file: RealFile, model: Model, training: bool
) -> None:
    plain, dependent = both(outputs, file, model)
    inputs = model.inputs()
    plain.train(training)
    dependent.train(training)

    torch.manual_seed(1)
    found = called(dependent, inputs)
    torch.manual_seed(1)
    wanted = called(plain, inputs)

    assert isinstance(dependent, DependentModule)
    assert not isinstance(dependent, type(plain))
    assert_same(found, wanted)
    ours = gradients(found, list(dependent.parameters()))
    assert_same_gradients(ours, gradients(wanted, list(plain.parameters())))


@each_model
def test_a_model_of_the_rewritten_file_takes_computed_weights(
    outputs: Outputs, file: RealFile, model: Model
) -> None:
    plain, dependent = both(outputs, file, model)
    inputs, weights = model.inputs(), near(plain)
    assert isinstance(dependent, DependentModule)

    dependent.eval().clear_params()
    dependent.substitute_from_list(results(weights))

    wanted = called(put(weights, plain.eval()), inputs)
    found = called(dependent, inputs)
    assert_same(found, wanted)
    assert_same_gradients(gradients(found, weights), gradients(wanted, list(plain.parameters())))


def both(outputs: Outputs, file: RealFile, model: Model) -> tuple[nn.Module, nn.Module]:
    """The model of the file, and that of the rewritten one; their weights start the same."""
    plain = made(model, file.original())
    dependent = made(model, outputs.rewritten(file))
    ours, theirs = dependent.state_dict(), plain.state_dict()
    assert list(ours) == list(theirs)
    if file.starts_elsewise:
        dependent.load_state_dict(theirs)
    else:
        assert_same(ours, theirs)
    return plain, dependent

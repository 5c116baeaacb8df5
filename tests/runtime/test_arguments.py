"""Arguments of the wrong kind: each error says what to give."""

from __future__ import annotations

import pickle

import pytest
import torch
from small_nets import fresh, inputs, mlp
from torch import nn

from metann import DependentModule, Learner
from metann.errors import ArgumentError, ConversionError, SubstitutionError


def test_a_forgotten_training_flag_is_named() -> None:
    net = mlp()

    with pytest.raises(ArgumentError, match=r"Did you leave it out\?") as error:
        Learner(net).functional(fresh(net), torch.randn(8, 3))

    assert "got a Tensor of shape (8, 3). Did" in str(error.value)
    assert "tensor(" not in str(error.value)


def test_a_long_value_is_cut_short() -> None:
    with pytest.raises(ArgumentError) as error:
        Learner(mlp()).functional(fresh(mlp()), [torch.randn(50, 50)])  # type: ignore[arg-type]

    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


def test_a_tensor_is_not_printed_where_a_module_belongs() -> None:
    with pytest.raises(ConversionError, match=r"cannot convert a Tensor of shape \(8, 3\): expec"):
        DependentModule(torch.randn(8, 3))


def test_a_learner_that_is_called_says_what_to_call() -> None:
    learner = Learner(mlp())

    with pytest.raises(TypeError, match=r"learner\.functional\(params, training, \*args\), or "):
        learner(inputs())

    again = pickle.loads(pickle.dumps(learner))
    with pytest.raises(ArgumentError, match=r"learner\.bind\(params\)"):
        again(inputs())


def test_names_of_what_is_still_a_parameter() -> None:
    net = DependentModule(mlp())
    before = net[0].weight

    with pytest.raises(SubstitutionError, match=r"0\.weight: still a parameter.*clear_params\(\)"):
        net.substitute({"0.weight": torch.randn(before.shape)})

    assert net[0].weight is before


def test_a_call_before_there_are_weights() -> None:
    with pytest.raises(TypeError, match=r"'weight' \(position 2\) must be Tensor, not NoneType"):
        DependentModule.stateless(nn.Linear(2, 2))(torch.ones(2))


def test_misspelt_names_of_dependents_are_not_taken_for_parameters() -> None:
    net = DependentModule(nn.Linear(2, 2)).clear_params(init=True)

    with pytest.raises(SubstitutionError, match=r"did you mean weight") as error:
        net.substitute({"wieght": torch.randn(2, 2), "bias": torch.randn(2)})

    assert "still a parameter" not in str(error.value)


@pytest.mark.parametrize("wrong", [3, None, "weights"])
def test_what_is_no_mapping_and_no_pairs_is_an_error(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="nothing was changed: params must be a mapping"):
        DependentModule.stateless(mlp()).substitute(wrong)


def test_what_is_no_list_is_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"params must be an iterable of tensors.*got int"):
        DependentModule.stateless(mlp()).substitute_from_list(3)


def test_a_name_given_twice_is_an_error() -> None:
    net = DependentModule.stateless(nn.Linear(2, 2))
    weight, bias = torch.randn(2, 2), torch.randn(2)

    with pytest.raises(SubstitutionError, match="given twice: weight"):
        net.substitute([("weight", weight), ("bias", bias), ("weight", weight)])

    assert net.weight is None


def test_converting_two_modules_at_once_is_an_error() -> None:
    with pytest.raises(ConversionError, match="takes one module, got 2 arguments"):
        DependentModule(nn.Tanh(), nn.Tanh())


def test_a_dependent_takes_the_place_of_a_parameter_that_is_none() -> None:
    layer = DependentModule(nn.Linear(2, 2, bias=False))
    bias = torch.randn(2)

    layer.register_dependent("bias", bias)

    assert layer.bias is bias
    assert torch.equal(layer(torch.ones(2)), layer.weight.sum(1) + bias)


def test_a_helper_object_that_holds_a_submodule_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Helper:
        pass

    net = nn.Sequential(nn.Linear(2, 2))
    helper = Helper()
    helper.layer = net[0]
    net.helper = helper

    with caplog.at_level("WARNING", logger="metann"):
        Learner(net)

    assert "helper refers to the original model" in caplog.text

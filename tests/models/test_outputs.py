"""Every output, asked for in every way, and every first-order gradient is the plain model's."""

from __future__ import annotations

from copy import deepcopy

import torch
from plain_models import (
    Case,
    assert_same,
    assert_same_gradients,
    fields,
    gradients,
    loss_of,
    made,
    plain,
    results,
)
from torch.func import functional_call
from zoo import both_modes, every, every_attention

from metann import DependentModule, Learner


@both_modes
@every_attention
def test_outputs_and_gradients_are_the_plain_models(
    case: Case, attention: str, training: bool
) -> None:
    model = made(case, attention, asked=True)
    twin = plain(model.net, model.weights, training)

    torch.manual_seed(1)
    found = Learner(model.net).functional(results(model.weights), training, **model.inputs)
    torch.manual_seed(1)
    wanted = twin(**model.inputs)

    assert_same(found, wanted)
    parameters = [p for p in twin.parameters() if p.requires_grad]
    ours = gradients(loss_of(found), model.trained)
    assert_same_gradients(ours, gradients(loss_of(wanted), parameters), model.net)


@every
def test_what_is_asked_for_is_returned(case: Case) -> None:
    model = made(case, case.attentions[-1], asked=True)

    output = Learner(model.net).functional(model.weights, False, **model.inputs)

    names = [name for name, _ in fields(output)]
    assert [kind for kind in case.returns if not any(kind in name for name in names)] == []
    hooks = [hook for module in model.net.modules() for hook in module._forward_hooks]
    assert hooks == []  # transformers put them into the instance of the call


@every
def test_outputs_are_those_of_functional_call(case: Case) -> None:
    model = made(case, asked=True)
    names = [name for name, _ in model.net.named_parameters()]
    weights = results(model.weights)

    torch.manual_seed(1)
    wanted = functional_call(model.net, dict(zip(names, weights, strict=True)), (), model.inputs)
    torch.manual_seed(1)
    found = Learner(model.net).functional(weights, False, **model.inputs)

    assert_same(found, wanted)


@every
def test_a_converted_and_cleared_copy_computes_with_the_weights_it_is_given(case: Case) -> None:
    model = made(case, case.attentions[-1], asked=True)
    twin = plain(model.net, model.weights, False)

    net = DependentModule(deepcopy(model.net))
    net.clear_params()
    net.substitute_from_list(results(model.weights))

    torch.manual_seed(1)
    found = net(**model.inputs)
    torch.manual_seed(1)
    assert_same(found, twin(**model.inputs))


@every
def test_a_model_converted_in_place_computes_what_it_did(case: Case) -> None:
    model = made(case, case.attentions[-1], asked=True)
    twin = deepcopy(model.net)

    assert DependentModule(model.net) is model.net

    torch.manual_seed(1)
    found = model.net(**model.inputs)
    torch.manual_seed(1)
    assert_same(found, twin(**model.inputs))

"""Copies, pickles, saved models, and text written by a model with other weights."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_models import Case, assert_same, made, plain
from zoo import CASES, all_but, every

from metann import DependentModule, Learner

# torch refuses to pickle what `torch.nn.utils.parametrizations.weight_norm` has made.
PARAMETRIZED = {"Wav2Vec2Model", "Wav2Vec2ForCTC", "HubertModel", "EncodecModel"}
picklable = all_but(PARAMETRIZED)
WRITING = [name for name in CASES if "CausalLM" in name or "Conditional" in name]
writing = pytest.mark.parametrize("name", ["GPT2LMHeadModel", *WRITING])


def answer(net: Any, inputs: dict[str, Any]) -> Any:
    torch.manual_seed(1)
    return net(**inputs)


@every
def test_a_bound_model_can_be_deep_copied(case: Case) -> None:
    model = made(case, asked=True)
    bound = Learner(model.net).bind(model.weights, training=False)

    copied = deepcopy(bound)

    assert_same(answer(copied, model.inputs), answer(bound, model.inputs))


@picklable
def test_a_bound_model_can_be_pickled(case: Case) -> None:
    model = made(case, asked=True)
    bound = Learner(model.net).bind(model.weights, training=False)

    again = pickle.loads(pickle.dumps(bound))

    assert type(again) is type(bound)
    assert_same(answer(again, model.inputs), answer(bound, model.inputs))


@every
def test_the_state_of_a_bound_model_loads_into_a_plain_one(case: Case) -> None:
    model = made(case, asked=True)
    bound = Learner(model.net).bind(model.weights, training=False)
    twin = deepcopy(model.net)

    twin.load_state_dict(bound.state_dict())

    assert_same(answer(twin, model.inputs), answer(bound, model.inputs))


@every
def test_a_converted_model_is_saved_and_read_by_the_plain_class(case: Case, tmp_path: Path) -> None:
    model = made(case, asked=True)
    kind = type(model.net)
    wanted = answer(model.net, model.inputs)

    DependentModule(model.net).save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path, experts_implementation="eager").double().eval()

    assert type(again) is kind
    assert_same(answer(again, model.inputs), wanted)


@writing
def test_a_bound_model_writes_what_the_plain_one_writes(name: str) -> None:
    model = made(CASES[name])
    twin = plain(model.net, model.weights, False)
    bound = Learner(model.net).bind(model.weights, training=False)
    model.inputs.pop("decoder_input_ids", None)

    for how in ({"num_beams": 1}, {"num_beams": 2}):
        found = bound.generate(**model.inputs, max_new_tokens=6, do_sample=False, **how)
        wanted = twin.generate(**model.inputs, max_new_tokens=6, do_sample=False, **how)
        assert found.shape[1] > 1
        assert torch.equal(found, wanted)

"""Many weights at once, forward mode, and activation checkpointing."""

from __future__ import annotations

import pytest
import torch
from plain_models import (
    Case,
    Made,
    Weights,
    assert_same_gradients,
    fields,
    gradients,
    is_slope,
    made,
    results,
)
from torch import Tensor
from torch.func import jvp, vmap
from zoo import all_but

from metann import Learner

# vmap cannot know how many tokens go to which expert: the shape depends on the numbers.
EXPERTS = {"MixtralForCausalLM", "Qwen2MoeForCausalLM", "JambaForCausalLM"}
# It asks, in Python, how its numbers compare; its codes, the nearest ones, have no derivative.
QUANTISED = {"EncodecModel"}
# The class has no checkpointing.
NO_CHECKPOINTS = {
    "AlbertModel",
    "ConvNextModel",
    "ResNetModel",
    "EncodecModel",
    "EncoderDecoderModel",
}


def outputs(model: Made, weights: Weights) -> list[Tensor]:
    """The outputs that are numbers."""
    torch.manual_seed(1)
    output = Learner(model.net).functional(weights, False, **model.inputs)
    return [value for _, value in fields(output) if value.is_floating_point()]


def without_cache(case: Case) -> Made:
    """A model that does not return what it would keep for the next token."""
    model = made(case)
    if getattr(model.net.config, "use_cache", False):
        model.inputs["use_cache"] = False
    return model


# Windows are moved round by torch.roll and the like, for which torch has no fast rule.
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@all_but(EXPERTS | QUANTISED)
def test_many_weights_at_once(case: Case) -> None:
    model = without_cache(case)
    several = [torch.stack([w.detach(), 1.1 * w.detach() + 0.01]) for w in model.weights]

    found = vmap(lambda *weights: outputs(model, weights), randomness="same")(*several)

    for number in range(2):
        wanted = outputs(model, [w[number] for w in several])
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours[number], theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@all_but(QUANTISED)
def test_forward_mode(case: Case) -> None:
    model = without_cache(case)
    values = [w.detach() for w in model.weights]
    directions = [0.1 * torch.randn_like(w) for w in values]

    def numbers(*weights: Tensor) -> Tensor:
        return torch.cat([value.flatten() for value in outputs(model, weights)])

    _, found = jvp(numbers, tuple(values), tuple(directions))

    def at(step: float) -> Tensor:
        return numbers(*(v + step * d for v, d in zip(values, directions, strict=True)))

    assert is_slope(found, at, model.rounds)


@all_but(NO_CHECKPOINTS)
def test_activation_checkpointing_sees_the_weights_of_the_call(case: Case) -> None:
    model = without_cache(case)
    wanted = gradients(model.loss(results(model.weights), True), model.trained)

    model.net.activation_checkpointing_enable({"use_reentrant": False})
    found = gradients(model.loss(results(model.weights), True), model.trained)

    assert_same_gradients(found, wanted, model.net)

"""Rewritten models are the same models: parameters, outputs, gradients of both orders."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from loaded import MODELS, NAMES, Both, Files, load_both
from torch import Tensor, nn
from torch.func import functional_call

from metann import DependentModule, Learner

# torch refuses to pickle parametrized modules, Python refuses classes inside of functions.
NOT_PICKLED = ("gan", "generic", "tied")


@pytest.fixture(scope="module", params=NAMES)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A model file of a user, and its dependent version."""
    name = request.param
    return load_both(MODELS / f"{name}.py", tmp_path_factory.mktemp(name), name, name)


@pytest.fixture
def both(files: Files) -> Both:
    return files.make()


def test_the_same_parameters_and_buffers_under_the_same_names(both: Both) -> None:
    plain, dependent = both.plain, both.dependent

    assert [*dict(dependent.named_parameters())] == [*dict(plain.named_parameters())]
    assert [*dict(dependent.named_buffers())] == [*dict(plain.named_buffers())]
    assert [*dict(dependent.named_modules())] == [*dict(plain.named_modules())]
    assert_same(dependent.state_dict(), plain.state_dict())
    for name, value in dependent.named_parameters():
        assert isinstance(value, nn.Parameter), name


def test_every_module_is_dependent(both: Both) -> None:
    # Made so by the text itself: nothing was converted after it.
    assert all(isinstance(module, DependentModule) for module in both.dependent.modules())


def test_state_is_loaded_both_ways(both: Both) -> None:
    plain, dependent = both.plain, both.dependent
    other = {name: changed(value) for name, value in plain.state_dict().items()}

    dependent.load_state_dict(other)
    assert_same(dependent.state_dict(), other)
    plain.load_state_dict(dependent.state_dict())
    assert_same(plain.state_dict(), other)


@pytest.mark.parametrize("training", [True, False])
def test_the_same_outputs_and_gradients(both: Both, training: bool) -> None:
    plain, dependent = both.plain.train(training), both.dependent.train(training)

    for _ in range(2):  # The second time with the buffers as the first has left them.
        expected, found = plain(*both.inputs), dependent(*both.inputs)
        assert torch.equal(found, expected)
    assert_same(dict(dependent.named_buffers()), dict(plain.named_buffers()))
    assert_same(gradients(dependent, found), gradients(plain, expected))


def test_the_same_outputs_with_weights_that_were_computed(both: Both) -> None:
    weights = computed(both.plain)

    expected = functional_call(deepcopy(both.plain), weights, both.inputs)
    found = Learner(both.dependent).functional(weights, True, *both.inputs)
    assert torch.equal(found, expected)

    both.dependent.clear_params()
    both.dependent.substitute(weights)
    assert torch.equal(both.dependent(*both.inputs), expected)


def test_the_same_second_order(both: Both) -> None:
    expected = second_order(both.plain, both.inputs)
    found = second_order(both.dependent, both.inputs)

    assert_same(found, expected)
    assert any(value.abs().max() > 1e-6 for value in found.values())


def test_the_second_order_is_right(both: Both) -> None:
    """Central differences in one direction, in evaluation: there all is a function of weights."""
    model, inputs, step = both.dependent, both.inputs, 1e-6
    generator = torch.Generator().manual_seed(1)
    way = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in model.parameters()]
    slopes = second_order(model, inputs, training=False).values()
    slope = sum((a * b).sum() for a, b in zip(slopes, way, strict=True))

    ends: list[Tensor] = []
    for sign in (1, -1):
        weights = [p + sign * step * w for p, w in zip(model.parameters(), way, strict=True)]
        ends.append(after_one_step(model, weights, inputs, training=False))
    assert isinstance(slope, Tensor)
    torch.testing.assert_close(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-7)


def test_a_rewritten_model_is_copied(both: Both) -> None:
    copied = deepcopy(both.dependent)

    assert torch.equal(copied(*both.inputs), both.dependent(*both.inputs))
    assert_same(copied.state_dict(), both.dependent.state_dict())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_PICKLED])
def test_a_rewritten_model_is_pickled(name: str, tmp_path: Path) -> None:
    both = load_both(MODELS / f"{name}.py", tmp_path, name, name).make()

    read = pickle.loads(pickle.dumps(both.dependent))

    assert type(read) is type(both.dependent)
    assert_same(read.state_dict(), both.dependent.state_dict())
    assert torch.equal(read(*both.inputs), both.dependent(*both.inputs))


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """The same names in the same order, and the very same numbers."""
    assert [*found] == [*expected]
    different = [name for name in found if not torch.equal(found[name], expected[name])]
    assert different == []


def changed(value: Tensor) -> Tensor:
    return value + 1 if value.is_floating_point() else value


def gradients(model: nn.Module, output: Tensor) -> dict[str, Tensor]:
    names, weights = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss_of(output), weights), strict=True))


def loss_of(output: Tensor) -> Tensor:
    return (output - 0.3).square().sum()


def computed(model: nn.Module) -> dict[str, Tensor]:
    """Weights that are no leaves."""
    generator = torch.Generator().manual_seed(2)
    noise = {
        name: torch.randn(p.shape, generator=generator, dtype=p.dtype)
        for name, p in model.named_parameters()
    }
    return {name: p * 1.1 + 0.1 * noise[name] for name, p in model.named_parameters()}


def after_one_step(
    model: nn.Module, weights: list[Tensor], inputs: tuple[Tensor, ...], training: bool
) -> Tensor:
    """The loss after one step of gradient descent from these weights."""
    learner = Learner(model)
    loss = loss_of(learner.functional(weights, training, *inputs))
    slopes = torch.autograd.grad(loss, weights, create_graph=True)
    adapted = [w - 0.01 * g for w, g in zip(weights, slopes, strict=True)]
    return loss_of(learner.functional(adapted, training, *inputs))


def second_order(
    model: nn.Module, inputs: tuple[Tensor, ...], training: bool = True
) -> dict[str, Tensor]:
    names, weights = zip(*model.named_parameters(), strict=True)
    loss = after_one_step(model, list(weights), inputs, training)
    return dict(zip(names, torch.autograd.grad(loss, weights), strict=True))

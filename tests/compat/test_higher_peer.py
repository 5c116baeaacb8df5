"""The same programs on higher itself: the numbers agree.

`make models` installs higher; where it is not, these tests are skipped.
"""

from __future__ import annotations

import copy
import importlib
import warnings
from collections.abc import Callable
from typing import Any

import higher_snippets as snippets
import pytest
import torch
from by_hand import CLOSE
from torch import nn

from metann.compat import higher as ours


@pytest.fixture(scope="module")
def theirs() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of `len(v) is 1` when it compiles higher.
        try:
            return importlib.import_module("higher")
        except ModuleNotFoundError:
            pytest.skip("higher is not installed; `make models` installs it and runs this test")


def agree(theirs: Any, snippet: Callable[..., Any], model: nn.Module, *args: Any) -> None:
    """Run a snippet on both libraries, each with a copy of the model."""
    found = snippet(ours, copy.deepcopy(model), *args)
    expected = snippet(theirs, copy.deepcopy(model), *args)

    torch.testing.assert_close(found, expected, **CLOSE)


def after_a_step(model: nn.Module, make: Callable[..., torch.optim.Optimizer]) -> Any:
    """An optimiser in use, so that there is a state to go on from."""
    opt = make(model.parameters())
    model(torch.ones(2, 3)).square().sum().backward()
    opt.step()
    opt.zero_grad()
    return opt


# higher adds `eps` where torch did in 2019, before the bias is corrected: without it they agree.
NO_EPS = 1e-30

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1),
    "SGD with momentum": lambda params: torch.optim.SGD(
        params, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01
    ),
    "SGD of Nesterov": lambda params: torch.optim.SGD(params, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.1, eps=NO_EPS),
    "Adam with weight decay": lambda params: torch.optim.Adam(
        params, lr=0.1, weight_decay=0.1, eps=NO_EPS
    ),
    "Adadelta": lambda params: torch.optim.Adadelta(params, lr=0.5),
    "Adagrad": lambda params: torch.optim.Adagrad(params, lr=0.1),
    "Adamax": lambda params: torch.optim.Adamax(params, lr=0.1),
    "RMSprop": lambda params: torch.optim.RMSprop(params, lr=0.01, momentum=0.5),
    "Rprop": lambda params: torch.optim.Rprop(params, lr=0.01),
}


@pytest.mark.filterwarnings("ignore:Differentiable R:UserWarning")  # higher's, of two of them
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_and_gradients_by_the_first_weights(theirs: Any, name: str) -> None:
    data = snippets.batches(3)

    def run(higher: Any, model: nn.Module) -> Any:
        opt = after_a_step(model, OPTIMIZERS[name])
        return snippets.example_usage(higher, model, opt, data)

    agree(theirs, run, snippets.small_net())


def test_maml(theirs: Any) -> None:
    net, data = snippets.small_image_net(), snippets.images()

    agree(theirs, snippets.maml_train, net, data)
    agree(theirs, snippets.maml_test, net, data)


def test_deep_energy(theirs: Any) -> None:
    energy = nn.Sequential(nn.Linear(5, 4), nn.Softplus(), nn.Linear(4, 1))

    agree(theirs, snippets.deep_energy, energy, torch.randn(6, 3))


def test_submodules_called_directly(theirs: Any) -> None:
    agree(theirs, snippets.submodules_called_directly, snippets.Named(), torch.randn(4, 3))


def test_higher_cannot_run_its_changelog_on_weights_modified_directly(theirs: Any) -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'update_params'"):
        snippets.weights_modified_directly(theirs, snippets.Named(), torch.randn(4, 3))


def test_learned_options(theirs: Any) -> None:
    data, names = snippets.batches(2), {"lr", "betas", "weight_decay"}

    def run(higher: Any, model: nn.Module) -> Any:
        opt = torch.optim.Adamax(model.parameters(), lr=0.1, weight_decay=0.1)
        return snippets.learned_options(higher, model, opt, data, names)

    agree(theirs, run, snippets.small_net())


def test_steps_with_settings_of_their_own(theirs: Any) -> None:
    model, data = snippets.small_net(), snippets.batches(2)

    agree(theirs, snippets.override_by_step, model, data)
    agree(theirs, snippets.clipped, model, data)


def test_weights_passed_by_hand(theirs: Any) -> None:
    model, data = snippets.small_net(), snippets.batches(2)

    def run(higher: Any, model: nn.Module) -> Any:
        return snippets.functional_with_created_optimizer(higher, model, data, eps=NO_EPS)

    agree(theirs, run, model)


def test_an_optimizer_of_ones_own(theirs: Any) -> None:
    agree(theirs, snippets.optimizer_of_ones_own, snippets.small_net(), snippets.batches(2))

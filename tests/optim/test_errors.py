"""What an optimiser refuses says what was asked, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metann import optim
from metann.errors import ArgumentError, MetannError, OptimizerError

NUMBER = r"must be a number, a tensor, a list of these with one for each parameter, or PerStep"

HYPER_PARAMETERS: list[tuple[Callable[[], object], type[MetannError], str]] = [
    (
        lambda: optim.SGD(-0.1),
        OptimizerError,
        r"^lr must be at least 0, got -0\.1\. Give a number in this range\.$",
    ),
    (
        lambda: optim.SGD([0.1, -1]),
        OptimizerError,
        r"^lr\.1 must be at least 0, got -1\. Give a number",
    ),
    (
        lambda: optim.SGD(optim.PerStep([0.1, [0.1, float("nan")]])),
        OptimizerError,
        r"^lr\.1\.1 must be at least 0, got nan\. Give a number",
    ),
    (
        lambda: optim.Adam(betas=(0.9, 1.0)),
        OptimizerError,
        r"^betas\.1 must be at least 0 and below 1, got 1\.0\. Give a number in this range\.$",
    ),
    (
        lambda: optim.Adam(betas=0.9),  # type: ignore[arg-type]
        ArgumentError,
        r"^betas must be a pair of hyper-parameters, got 0\.9\. Give \(beta1, beta2\), each a",
    ),
    (
        lambda: optim.NAdam(momentum_decay="fast"),  # type: ignore[arg-type]
        ArgumentError,
        rf"^momentum_decay {NUMBER} with one for each step, got 'fast' of type str\. Turn it into",
    ),
    (
        lambda: optim.RAdam(lr=True),
        ArgumentError,
        rf"^lr {NUMBER} with one for each step, got True of type bool\. Turn it into",
    ),
    (
        lambda: optim.SGD({"lr": 0.1}),  # type: ignore[arg-type]
        ArgumentError,
        rf"^lr {NUMBER} with one for each step, got {{'lr': 0\.1}} of type dict\. Turn it into",
    ),
    (
        lambda: optim.SGD(optim.PerStep([optim.PerStep([0.1])])),  # type: ignore[list-item]
        ArgumentError,
        rf"^lr\.0 {NUMBER} with one for each step, got PerStep\(\[0\.1\]\) of type PerStep\. Turn",
    ),
    (
        lambda: optim.PerStep([]),
        OptimizerError,
        r"^PerStep needs a value for each step, got none\. Give at least one: the last one holds",
    ),
    (
        lambda: optim.Adamax(maximize=[True, False]),  # type: ignore[arg-type]
        ArgumentError,
        r"^maximize must be True or False for all parameters, got \[True, False\]\. Where",
    ),
    (
        lambda: optim.SGD(0.1, nesterov=True),
        OptimizerError,
        r"^nesterov=True needs a momentum and no dampening, got momentum=0\.0 and dampening=0\.0\. "
        r"Set momentum above 0",
    ),
    (
        lambda: optim.SGD(0.1, momentum=0.9, dampening=0.5, nesterov=True),
        OptimizerError,
        r"got momentum=0\.9 and dampening=0\.5\. Set momentum above 0 and leave dampening out\.$",
    ),
    (
        lambda: optim.per_group([0.1, 0.01], [2]),
        OptimizerError,
        r"^Each group has a value and a size, got 2 values and 1 sizes\. Give lists of one length",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), HYPER_PARAMETERS)
def test_hyper_parameters(
    make: Callable[[], object], error: type[MetannError], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


OPTIMIZERS = [optim.SGD(0.1), optim.SGD(0.1, momentum=0.9), optim.Adam()]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_another_number_of_gradients(optimizer: optim.Optimizer) -> None:
    params = [torch.randn(3), torch.randn(2)]
    state = optimizer.init(params)

    message = r"gradient \(or None\) and a state for each parameter, got 2 parameters, 1 gradients "
    with pytest.raises(OptimizerError, match=message + r"and the state of 2 parameters\. Give"):
        optimizer.step(params, [torch.randn(3)], state)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_of_other_parameters(optimizer: optim.Optimizer) -> None:
    params = [torch.randn(3), torch.randn(2)]

    message = r"got 2 parameters, 2 gradients and the state of 1 parameters\. Give lists of one"
    with pytest.raises(OptimizerError, match=message):
        optimizer.step(params, params, optimizer.init(params[:1]))


def test_a_state_of_another_optimizer() -> None:
    params = [torch.randn(3)]

    message = (
        r"^The state of Adam has exp_avg, exp_avg_sq, max_exp_avg_sq slots, got one with exp_avg, "
        r"exp_avg_sq\. Give the state that init\(params\)"
    )
    with pytest.raises(OptimizerError, match=message):
        optim.Adam(amsgrad=True).step(params, params, optim.Adam().init(params))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_gradient_of_another_shape_even_if_it_broadcasts(optimizer: optim.Optimizer) -> None:
    params = [torch.randn(3), torch.randn(3, 2)]

    message = r"parameter 1 of shape \(3, 2\) there is one of shape \(2,\)\. Give the gradients in"
    with pytest.raises(OptimizerError, match=message):
        optimizer.step(params, [torch.randn(3), torch.randn(2)], optimizer.init(params))


def step(optimizer: optim.Optimizer, *shapes: tuple[int, ...]) -> None:
    params: list[Tensor] = [torch.randn(shape) for shape in shapes]
    optimizer.step(params, params, optimizer.init(params))


@pytest.mark.parametrize("form", [list, tuple, lambda v: nn.ParameterList(map(torch.tensor, v))])
def test_another_number_of_values_than_parameters(form: Any) -> None:
    message = (
        r"each parameter has 2 values, but there are 3 parameters\. Give one value a parameter"
    )

    with pytest.raises(OptimizerError, match=message):
        step(optim.SGD(form([0.1, 0.2])), (3,), (2,), (1,))


@pytest.mark.parametrize("shape", [(2,), (1, 3), (4, 3)])
def test_a_value_that_would_change_the_shape_of_a_parameter(shape: tuple[int, ...]) -> None:
    found = str(shape).replace("(", r"\(").replace(")", r"\)")
    message = rf"of shape {found} does not broadcast to parameter 1 of shape \(3,\)\. Give a scalar"

    with pytest.raises(OptimizerError, match=message):
        step(optim.SGD([0.1, torch.rand(shape)]), (2,), (3,))


def test_both_kinds_of_errors_are_what_python_calls_them() -> None:
    with pytest.raises(ValueError, match=r"at least 0"):
        optim.Adam(eps=-1.0)
    with pytest.raises(TypeError, match=r"must be a number"):
        optim.Adam(eps="1e-8")  # type: ignore[arg-type]

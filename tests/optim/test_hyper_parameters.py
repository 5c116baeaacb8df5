"""The forms that a hyper-parameter can have."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from optimizers import ROWS, Row
from torch import Tensor, nn

from metann import optim


def problem() -> tuple[list[Tensor], list[Tensor]]:
    shapes = (3, 2), (), (4,)
    return [torch.randn(shape) for shape in shapes], [torch.randn(shape) for shape in shapes]


def after(optimizer: optim.Optimizer, params: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    """Three steps with these gradients."""
    state = optimizer.init(params)
    for _ in range(3):
        params, state = optimizer.step(params, grads, state)
    return params


def each(row: Row, form: Any) -> dict[str, Any]:
    """Every learnable hyper-parameter in another form."""
    return {name: form(value) for name, value in row.values().items()}


FORMS = {
    "tensor": torch.tensor,
    "single precision on a parameter of double": lambda v: torch.tensor(v, dtype=torch.float32),
    "list": lambda value: [value, value, torch.tensor(value)],
    "parameter list": lambda value: nn.ParameterList([torch.tensor(value)] * 3),
    "of each parameter's shape": lambda v: [torch.full((3, 2), v), v, torch.full((4,), v)],
    "of a shape that broadcasts": lambda v: (torch.full((3, 1), v), v, torch.full((1,), v)),
    "per step": lambda value: optim.PerStep([value, torch.tensor(value)]),
    "per step and parameter": lambda v: optim.PerStep([[v, v, torch.tensor(v)], v]),
    "per group": lambda value: optim.per_group([value, torch.tensor(value)], [2, 1]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("row", [row for row in ROWS if row.has_forms], ids=str)
def test_the_same_value_in_another_form_takes_the_same_steps(row: Row, form: str) -> None:
    params, grads = problem()
    flags = next(row.flags())

    found = after(row.made(each(row, FORMS[form]), flags), params, grads)

    tolerance = 1e-6 if "single" in form else 1e-12
    expected = after(row.made(row.values(), flags), params, grads)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", [row for row in ROWS if row.has_forms], ids=str)
def test_each_parameter_has_its_own_value(row: Row) -> None:
    params, grads = problem()
    flags, factors = next(row.flags()), (1.0, 0.5, 0.8)

    found = after(row.made(each(row, lambda v: [v * f for f in factors]), flags), params, grads)

    for index, factor in enumerate(factors):
        alone = row.made(each(row, lambda v, f=factor: v * f), flags)
        expected = after(alone, params[index : index + 1], grads[index : index + 1])
        torch.testing.assert_close(found[index], expected[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("row", [row for row in ROWS if row.has_forms], ids=str)
def test_each_step_has_its_own_value_and_the_last_one_holds_on(row: Row) -> None:
    params, grads = problem()
    flags = next(row.flags())
    scheduled = row.made(each(row, lambda v: optim.PerStep([v, v * 0.5])), flags)
    by_hand = [row.made(each(row, lambda v, f=f: v * f), flags) for f in (1.0, 0.5, 0.5, 0.5)]

    found, state, expected, other = params, scheduled.init(params), params, scheduled.init(params)
    for optimizer in by_hand:
        found, state = scheduled.step(found, grads, state)
        expected, other = optimizer.step(expected, grads, other)

    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_step_without_a_gradient_counts_as_a_step_for_its_values() -> None:
    optimizer = optim.SGD(lr=optim.PerStep([1.0, 0.0]))
    param, grad = torch.randn(3), torch.randn(3)

    _, state = optimizer.step([param], [None], optimizer.init([param]))
    (stepped,), _ = optimizer.step([param], [grad], state)

    assert torch.equal(stepped, param)


def test_an_integer_is_a_number() -> None:
    params, grads = problem()

    found = after(optim.SGD(1, momentum=0), params, grads)

    torch.testing.assert_close(found, after(optim.SGD(1.0), params, grads), rtol=0.0, atol=0.0)


def test_a_hyper_parameter_does_not_change_the_dtype_of_a_parameter() -> None:
    optimizer = optim.Adam(lr=torch.tensor(0.1), betas=(torch.tensor(0.9), torch.tensor(0.99)))
    params = [torch.randn(3, dtype=torch.float32), torch.randn((), dtype=torch.float32)]

    stepped = after(optimizer, params, params)

    assert [param.dtype for param in stepped] == [torch.float32] * 2


def test_values_of_the_shape_of_a_complex_parameter_are_one_for_each_complex_number() -> None:
    param, grad = torch.randn(3, dtype=torch.complex128), torch.randn(3, dtype=torch.complex128)
    lr = torch.rand(3)

    (stepped,) = after(optim.SGD(lr=[lr]), [param], [grad])

    torch.testing.assert_close(stepped, param - 3 * lr * grad)


def test_learnable_hyper_parameters_are_listed_by_name() -> None:
    one, two, three, four = (nn.Parameter(torch.rand(())) for _ in range(4))
    optimizer = optim.Adam(
        lr=optim.PerStep([[one, 0.1], two]), betas=(three, 0.9), eps=nn.ParameterList([four])
    )

    found = optimizer.hyper_parameters()

    expected = {"lr.0.0": one, "lr.1": two, "betas.0": three, "eps.0": four}
    assert found.keys() == expected.keys()
    assert all(found[name] is expected[name] for name in expected)


def test_learnable_hyper_parameters_do_not_include_tensors_that_are_given() -> None:
    lr = torch.tensor(0.1, requires_grad=True)

    assert optim.SGD(lr, momentum=0.9).hyper_parameters() == {}


def test_a_hyper_parameter_can_be_replaced_by_a_function_of_another() -> None:
    log_lr = torch.tensor(-2.0, requires_grad=True)
    param, grad = torch.randn(3), torch.randn(3)

    (stepped,) = after(replace(optim.SGD(0.1), lr=log_lr.exp()), [param], [grad])

    (slope,) = torch.autograd.grad(stepped.sum(), log_lr)
    torch.testing.assert_close(slope, -3 * grad.sum() * log_lr.detach().exp())


def test_precision_of_a_learned_beta_in_single_precision() -> None:
    """The length of RAdam's average is a small difference of large numbers."""
    param, grad = torch.randn(20, dtype=torch.float32), torch.randn(20, dtype=torch.float32)
    beta = torch.tensor(0.999, dtype=torch.float32)

    def moved(beta2: Any) -> Tensor:
        optimizer, stepped = optim.RAdam(1.0, betas=(0.9, beta2)), [torch.zeros_like(param)]
        state = optimizer.init(stepped)
        for _ in range(6):
            stepped, state = optimizer.step(stepped, [grad], state)
        return stepped[0]

    torch.testing.assert_close(moved(beta), moved(0.999), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_an_optimizer_can_be_copied(copied: Any) -> None:
    optimizer = optim.Adam(lr=optim.PerStep([nn.ParameterList([torch.rand(())])]), amsgrad=True)

    other = copied(optimizer)

    (found,), (original,) = (o.hyper_parameters().values() for o in (other, optimizer))
    assert torch.equal(found, original)
    assert found is not original
    assert other.amsgrad

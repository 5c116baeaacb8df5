"""What only one optimiser has: averages, clipped steps, variances that rounding makes negative."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metann import optim
from metann.errors import ArgumentError, OptimizerError


def steps(
    optimizer: optim.Optimizer, params: list[Tensor], grads: list[list[Tensor]]
) -> tuple[list[Tensor], optim.State]:
    state = optimizer.init(params)
    for each in grads:
        params, state = optimizer.step(params, each, state)
    return params, state


def test_the_average_of_asgd_is_that_of_the_parameters_after_t0_and_one_more_steps() -> None:
    optimizer = optim.ASGD(lr=0.1, t0=3, lambd=0.0)
    params, state, path = [torch.randn(4)], optimizer.init([torch.zeros(4)]), []
    for _ in range(8):
        params, state = optimizer.step(params, [torch.randn(4)], state)
        path.append(params[0])

    expected = torch.stack(path[4:]).mean(dim=0)
    torch.testing.assert_close(state.slots["ax"][0], expected)


def test_the_derivative_of_the_average_with_regard_to_t0_is_right() -> None:
    param, grads = torch.randn(4), [[torch.randn(4)] for _ in range(5)]

    def average(t0: Tensor, lr: Tensor) -> Any:
        return steps(optim.ASGD(lr=lr, t0=t0), [param], grads)[1].slots["ax"][0]

    inputs = (torch.tensor(1.3, requires_grad=True), torch.tensor(0.1, requires_grad=True))
    assert torch.autograd.gradcheck(average, inputs)


def test_the_learning_rate_of_asgd_is_that_of_the_step_before() -> None:
    """As in torch, where a scheduler is heard one step later."""
    params, grads = [torch.randn(3)], [[torch.randn(3)] for _ in range(4)]
    original = nn.Parameter(params[0].clone())
    theirs = torch.optim.ASGD([original], lr=0.1)
    ours = optim.ASGD(lr=optim.PerStep([0.1, 0.02, 0.3]))
    for lr, (grad,) in zip((0.1, 0.02, 0.3, 0.3), grads, strict=True):
        theirs.param_groups[0]["lr"] = lr
        original.grad = grad
        theirs.step()

    found, _ = steps(ours, params, grads)

    torch.testing.assert_close(found, [original.detach()], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["Rprop", "ASGD"])
def test_the_first_size_is_that_of_the_first_gradient(name: str) -> None:
    original = nn.Parameter(torch.randn(3))
    theirs = getattr(torch.optim, name)([original], lr=0.1)
    ours = getattr(optim, name)(lr=optim.PerStep([0.1, 0.02]))
    params: list[Tensor] = [original.detach().clone()]
    state = ours.init(params)
    for lr, grad in ((0.1, None), (0.02, torch.randn(3)), (0.02, torch.randn(3))):
        theirs.param_groups[0]["lr"] = lr
        original.grad = grad
        theirs.step()
        params, state = ours.step(params, [grad], state)

    torch.testing.assert_close(params, [original.detach()], rtol=1e-12, atol=1e-12)


def test_rprop_has_no_graph_to_the_gradients() -> None:
    param, grad = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    optimizer = optim.Rprop(0.1)

    (stepped,), state = steps(optimizer, [param], [[grad], [grad * 2]])

    found = torch.autograd.grad(stepped.sum(), [param, grad], allow_unused=True)
    assert torch.equal(found[0], torch.ones(4))
    assert found[1] is None
    assert not state.slots["prev"][0].requires_grad


def test_the_derivative_of_rprop_with_regard_to_its_sizes_where_they_hold() -> None:
    param, grads = torch.randn(40), [[torch.randn(40)] for _ in range(6)]

    def final(lr: Tensor, shrink: Tensor, grow: Tensor, least: Tensor, largest: Tensor) -> Any:
        optimizer = optim.Rprop(lr, (shrink, grow), (least, largest))
        return steps(optimizer, [param], grads)[0][0]

    values = [torch.tensor(v, requires_grad=True) for v in (0.1, 0.45, 1.7, 0.06, 0.15)]
    slopes = torch.autograd.grad((final(*values) * torch.rand(40)).sum(), values)

    assert torch.autograd.gradcheck(final, tuple(values))
    assert all(slope.abs() > 1e-3 for slope in slopes)


def test_gradients_that_never_change_have_no_variance() -> None:
    """Rounding makes it less than 0 after a while, where torch's parameter becomes NaN."""
    grad = torch.randn(1000, dtype=torch.float32)
    original = nn.Parameter(torch.zeros_like(grad))
    theirs = torch.optim.RMSprop([original], lr=1e-3, centered=True)
    ours, params = optim.RMSprop(1e-3, centered=True), [torch.zeros_like(grad)]
    state = ours.init(params)

    for _ in range(3000):
        original.grad = grad
        theirs.step()
        params, state = ours.step(params, [grad], state)

    assert original.isnan().any()
    assert params[0].isfinite().all()


def test_the_derivative_with_regard_to_d_of_adafactor_where_steps_are_clipped() -> None:
    param = torch.randn(3, 2)
    grads = [[torch.randn(3, 2) * 5.0**n] for n in range(4)]

    def final(d: Tensor, lr: Tensor) -> Tensor:
        return steps(optim.Adafactor(lr, d=d), [param], grads)[0][0]

    values = torch.tensor(1.1, requires_grad=True), torch.tensor(0.1, requires_grad=True)
    slope, _ = torch.autograd.grad(final(*values).sum(), values)

    assert torch.autograd.gradcheck(final, values)
    assert slope.abs() > 1e-3


@pytest.mark.parametrize("shape", [(3, 2), (4,), ()])
def test_T27_T44_adafactor_where_parameter_and_gradient_are_zero(shape: tuple[int, ...]) -> None:
    """Biases begin so; the size of a step is then that of eps."""
    zeros = torch.zeros(shape, requires_grad=True)
    for eps in ((None, 1e-3), (1e-3, 0.2)):
        optimizer = optim.Adafactor(0.1, eps=eps)

        (stepped,), _ = steps(optimizer, [zeros], [[zeros * 2], [zeros * 2]])

        (found,) = torch.autograd.grad(stepped.sum(), zeros, create_graph=True)
        assert found.isfinite().all()
        assert (found.abs() > 1).all()


def test_adafactor_takes_each_parameters_own_precision() -> None:
    """torch takes that of the first parameter of a group for all of them."""
    single, double = torch.ones(3, dtype=torch.float32), torch.ones(3)
    optimizer = optim.Adafactor(0.01)
    params = [single, double]

    together, _ = steps(optimizer, params, [[p * 1e-10 for p in params]])

    (alone,), _ = steps(optimizer, [double], [[double * 1e-10]])
    assert torch.equal(together[1], alone)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_adagrad_begins_with_a_value_for_each_parameter(value: float) -> None:
    learned = torch.tensor(value, requires_grad=True)
    optimizer = optim.Adagrad(initial_accumulator_value=[learned, 0.5])

    state = optimizer.init([torch.randn(3), torch.randn(2)])

    torch.testing.assert_close(state.slots["sum"], [learned.expand(3), torch.full((2,), 0.5)])


def test_T27_T44_adagrad_where_the_sum_is_still_zero() -> None:
    grad = torch.zeros(3, requires_grad=True)

    (stepped,), _ = steps(optim.Adagrad(0.1, eps=1e-3), [torch.randn(3)], [[grad]])

    (slope,) = torch.autograd.grad(stepped.sum(), grad)
    torch.testing.assert_close(slope, torch.full((3,), -0.1 / 1e-3), rtol=1e-12, atol=0.0)


REFUSED = [
    (lambda: optim.Adadelta(rho=1.5), r"^rho must be at most 1, got 1\.5\. Give a number in this"),
    (lambda: optim.Adadelta(rho=[0.5, 2]), r"^rho must be at most 1, got 2\. Give a number in th"),
    (lambda: optim.Adadelta(rho=-0.1), r"^rho must be at least 0, got -0\.1\. Give a number"),
    (lambda: optim.Adafactor(beta2_decay=0.1), r"^beta2_decay must be at most 0, got 0\.1\. Give"),
    (lambda: optim.Adafactor(d=0.5), r"^d must be at least 1, got 0\.5\. Give a number in this"),
    (lambda: optim.Adafactor(eps=(None, -1)), r"^eps\.1 must be at least 0, got -1\. Give a numb"),
    (lambda: optim.Rprop(etas=(0.5, 1.0)), r"^etas must be a factor between .* got \(0\.5, 1\.0\)"),
    (lambda: optim.Rprop(etas=([0.5, 2], 1.2)), r"factor above 1, got .*\. Give, for example, \(0"),
    (lambda: optim.RMSprop(momentum=-1), r"^momentum must be at least 0, got -1\. Give a number"),
    (lambda: optim.ASGD(lr=optim.PerStep([1, -1])), r"^lr\.1 must be at least 0, got -1\. Give"),
    (lambda: optim.Adagrad(lr_decay=-1), r"^lr_decay must be at least 0, got -1\. Give a number"),
]


@pytest.mark.parametrize(("made", "message"), REFUSED)
def test_numbers_out_of_range_are_refused(made: Any, message: str) -> None:
    with pytest.raises(OptimizerError, match=message):
        made()


@pytest.mark.parametrize("step_sizes", [0.1, (0.1,), (0.1, 0.2, 0.3)])
def test_what_is_no_pair_is_refused(step_sizes: Any) -> None:
    message = r"^step_sizes must be a tuple of 2 hyper-parameters, got .*\. Give \(least, largest\)"
    with pytest.raises(ArgumentError, match=message):
        optim.Rprop(step_sizes=step_sizes)
    with pytest.raises(ArgumentError, match=r"^eps must be a tuple of 2 hyper-parameters, got"):
        optim.Adafactor(eps=step_sizes)

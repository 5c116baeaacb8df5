"""Gradients through steps: to where they started, and to the hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from optimizers import ROWS, Row
from plain_updates import PLAIN
from torch import Tensor

from metann import optim

Loss = Callable[[Sequence[Tensor]], Tensor]


def cases(rows: Sequence[Row] = ROWS) -> list[Any]:
    return [
        pytest.param(row, flags, id=f"{row.name}-" + "-".join(map(str, flags.values())))
        for row in rows
        for flags in row.flags()
    ]


def bent(params: Sequence[Tensor]) -> Tensor:
    """A loss with mixed third derivatives, so that mistakes show."""
    flat = torch.cat([param.flatten() for param in params])
    return (flat.cos() * flat.roll(1)).sum() + flat.square().sum() ** 2 / 8


def weight(step: int) -> float:
    """The losses weigh differently, so that the size of gradients rises and falls."""
    return 0.3 if step % 2 else 1.0


def unrolled(optimizer: optim.Optimizer, params: list[Tensor], loss: Loss, steps: int) -> Any:
    state = optimizer.init(params)
    for step in range(steps):
        grads = torch.autograd.grad(loss(params) * weight(step), params, create_graph=True)
        params, state = optimizer.step(params, grads, state)
    return tuple(params)


def learned(values: dict[str, float], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    return {
        name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in values.items()
    }


def beginning() -> list[Tensor]:
    return [torch.randn(1, 2, requires_grad=True), torch.randn((), requires_grad=True)]


@pytest.mark.parametrize(("row", "flags"), cases())
def test_meta_gradients_are_those_of_finite_differences(row: Row, flags: dict[str, Any]) -> None:
    values = learned(row.values())

    def final(one: Tensor, other: Tensor, *hypers: Tensor) -> Any:
        optimizer = row.made(dict(zip(values, hypers, strict=True)), flags)
        return unrolled(optimizer, [one, other], bent, row.steps)

    assert torch.autograd.gradcheck(final, (*beginning(), *values.values()), atol=1e-6)


@pytest.mark.parametrize(("row", "flags"), cases([row for row in ROWS if row.name in PLAIN]))
def test_meta_gradients_are_those_of_a_plain_loop(row: Row, flags: dict[str, Any]) -> None:
    values, params = learned(row.values()), beginning()
    inputs = [*params, *values.values()]
    optimizer = row.made(values, flags)
    settings = {name: getattr(optimizer, name) for name in row.learnable} | flags

    ours = unrolled(optimizer, params, bent, row.steps)
    plain, memories = params, [{}, {}]
    for number in range(1, row.steps + 1):
        grads = torch.autograd.grad(bent(plain) * weight(number - 1), plain, create_graph=True)
        parts = zip(plain, grads, memories, strict=True)
        plain = [PLAIN[row.name](p, g, memory, number, **settings) for p, g, memory in parts]

    found = torch.autograd.grad(bent(ours), inputs)
    expected = torch.autograd.grad(bent(plain), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert all(gradient.abs().max() > 1e-9 for gradient in found)


# ── gradients of exactly zero ────────────────────────────────────────────────────────────────


def at_rest(row: Row) -> dict[str, float]:
    """Hyper-parameters with which a parameter without a gradient stays where it is."""
    return {name: 0.0 if name == "weight_decay" else v for name, v in row.values().items()}


SMOOTH = [row for row in ROWS if row.smooth_at_zero]


@pytest.mark.parametrize("hypers_are", [dict, learned], ids=["numbers", "tensors"])
@pytest.mark.parametrize(("row", "flags"), cases(SMOOTH))
def test_T27_T44_the_derivative_at_a_gradient_of_zero_is_right(
    row: Row, flags: dict[str, Any], hypers_are: Callable[..., Any]
) -> None:
    # In the middle of a bowl, where half of the entries are; eps is large beside the differences.
    middle, curvature = torch.randn(4), torch.rand(4) + 0.5
    start = middle + torch.tensor([0.0, 0.0, 0.7, -0.4])
    values = hypers_are({**at_rest(row), **({"eps": 0.5} if "eps" in row.values() else {})})

    def final(param: Tensor) -> Tensor:
        def bowl(params: Sequence[Tensor]) -> Tensor:
            return (curvature * (params[0] - middle) ** 2).sum()

        return unrolled(row.made(values, flags), [param], bowl, row.steps)[0]

    def difference(direction: Tensor) -> Tensor:
        size = 1e-6
        return (final(start + size * direction) - final(start - size * direction)) / (2 * size)

    start.requires_grad_()
    jacobian = torch.autograd.functional.jacobian(final, start)

    expected = torch.stack([difference(row_of_eye) for row_of_eye in torch.eye(4)], dim=1)
    torch.testing.assert_close(jacobian, expected.detach(), rtol=1e-5, atol=1e-5)
    assert (jacobian.diagonal() - 1).abs().min() > 1e-2


def test_T27_the_first_step_of_adam_multiplies_a_gradient_of_zero_by_lr_over_eps() -> None:
    optimizer = optim.Adam(lr=0.1, eps=1e-3)
    param, grad = torch.randn(5), torch.zeros(5, requires_grad=True)

    (stepped,), _ = optimizer.step([param], [grad], optimizer.init([param]))

    (slope,) = torch.autograd.grad(stepped.sum(), grad)
    torch.testing.assert_close(slope, torch.full((5,), -0.1 / 1e-3), rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("row", "flags"), cases())
def test_T27_T44_meta_gradients_of_a_dead_net_are_finite(
    row: Row, flags: dict[str, Any], dtype: torch.dtype
) -> None:
    # No unit of the hidden layer is alive: every gradient but that of the last bias is 0.
    hidden = torch.randn(3, 2, dtype=dtype, requires_grad=True)
    bias = torch.full((3,), -20.0, dtype=dtype, requires_grad=True)
    last = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in ((1, 3), (1,))]
    inputs, targets = torch.randn(5, 2, dtype=dtype), torch.randn(5, 1, dtype=dtype)

    def loss(params: Sequence[Tensor]) -> Tensor:
        first, first_bias, second, second_bias = params
        outputs = (inputs @ first.T + first_bias).relu() @ second.T + second_bias
        return (outputs - targets).square().mean()

    values = learned(at_rest(row), dtype)
    params = [hidden, bias, *last]
    final = unrolled(row.made(values, flags), params, loss, row.steps)
    grads = torch.autograd.grad(loss(final), [*params, *values.values()])

    assert all(gradient.isfinite().all() for gradient in grads)
    assert grads[3].abs().min() > 0

"""Mean squared errors: forward over reverse, which torch's mean has not for a constant target."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close
from transforming import FORWARD_MODE_WARNS, assert_every_derivative

from metann import DependentModule, functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
Loss = Callable[[Tensor, Tensor], Tensor]
CONSTANT: dict[str, Callable[[Loss, Tensor, Tensor], Tensor]] = {
    "target": lambda loss, x, y: loss(x.sin(), y),
    "input": lambda loss, x, y: loss(y, x.sin()),
}
each_constant = pytest.mark.parametrize("called", CONSTANT.values(), ids=CONSTANT)


def hessian_times(function: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    """Forward over reverse."""
    return torch.func.jvp(torch.func.grad(function), (x,), (direction,))[1]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@each_constant
def test_forward_over_reverse_is_reverse_over_reverse(called, reduction: str) -> None:
    x, y, direction = torch.randn(3, 4, 5)
    torchs, ours = (
        partial(called, partial(loss, reduction=reduction), y=y)
        for loss in (F.mse_loss, functional.mse_loss)
    )

    found = hessian_times(lambda x: ours(x=x), x, direction)

    gradient = torch.func.grad(lambda x: torchs(x=x))
    assert_close(found, torch.func.vjp(gradient, x)[1](direction)[0])


@each_constant
def test_torchs_own_raises(called) -> None:
    x, y, direction = torch.randn(3, 4, 5)

    with pytest.raises(RuntimeError, match=r"ZeroTensors are immutable"):
        hessian_times(lambda x: called(F.mse_loss, x, y), x, direction)


def test_a_dependent_layer_called_in_forward_mode() -> None:
    x, y, direction = torch.randn(3, 4, 5)
    layer = DependentModule(nn.MSELoss())

    found = hessian_times(lambda x: layer(x.sin(), y), x, direction)

    expected = hessian_times(lambda x: (x.sin() - y).square().mean(), x, direction)
    assert_close(found, expected)


DTYPES = (torch.float32, torch.float16, torch.complex64, torch.int64, torch.bool)


def outcome(called: Callable[[], Tensor]) -> Tensor | tuple[type[Exception], str]:
    try:
        return called()
    except NotImplementedError as error:
        return type(error), str(error)


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("input", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_other_numbers_are_those_of_torch_or_its_error(
    reduction: str, input: torch.dtype, target: torch.dtype
) -> None:
    x, y = (5 * torch.randn(3, 4)).to(input), (5 * torch.randn(3, 4)).to(target)
    ours, torchs = (partial(f, reduction=reduction) for f in (functional.mse_loss, F.mse_loss))

    with torch.autograd.forward_ad.dual_level():
        found = outcome(lambda: ours(x, y))
    batched = outcome(lambda: torch.vmap(ours)(x, y))

    is_known = input.is_floating_point or target.is_floating_point
    raises = not is_known or torch.complex64 in (input, target)
    for got, expected in (
        (found, outcome(lambda: torchs(x, y))),
        (batched, outcome(lambda: torch.stack([*map(torchs, x, y)]))),
    ):
        assert isinstance(got, tuple) is raises
        if isinstance(got, Tensor):
            assert_close(got, expected)
        else:
            assert got == expected


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_every_derivative(reduction: str) -> None:
    pair = [torch.randn(3, 4, requires_grad=True) for _ in range(2)]

    assert_every_derivative(partial(functional.mse_loss, reduction=reduction), pair)


def test_in_forward_mode_autocast_computes_it_in_float32() -> None:
    x, y, direction = torch.randn(3, 4, 5).bfloat16()

    def moved(loss: Loss) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return torch.func.jvp(lambda x: loss(x, y), (x,), (direction,))

    assert moved(functional.mse_loss)[0].dtype == torch.float32
    assert_close(moved(functional.mse_loss), moved(F.mse_loss))

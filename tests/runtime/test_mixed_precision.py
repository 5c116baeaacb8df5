"""Inner loops in half precision: autocast around them, and a GradScaler in and outside of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_nets import by_name, mlp
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.func import functional_call

from metann import Learner

Forward = Callable[[list[Tensor], Tensor], Tensor]


def transformer() -> nn.Module:
    """`(n, 5, 4)` to the same."""
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)


class Reading(nn.Module):
    """A recurrent net: `(n, 5, 4)` to `(n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(4, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0].mean(1))


NETS = pytest.mark.parametrize(
    ("make", "shape"), [(mlp, (6, 3)), (transformer, (3, 5, 4)), (Reading, (3, 5, 4))]
)
HALVES = pytest.mark.parametrize(
    ("dtype", "error"), [(torch.bfloat16, 0.02), (torch.float16, 0.002)], ids=str
)


def adapted(forward: Forward, start: list[Tensor], data: Tensor, scaler: GradScaler) -> Tensor:
    """The loss after two inner steps, whose gradients are those of the scaled loss."""
    weights, scale = start, scaler.get_scale()
    for x in data[:2]:
        loss = forward(weights, x).float().square().mean()
        slopes = torch.autograd.grad(scaler.scale(loss), weights, create_graph=True)
        weights = [w - 0.1 / scale * slope for w, slope in zip(weights, slopes, strict=True)]
    assert {weight.dtype for weight in weights} == {torch.float32}
    return forward(weights, data[2]).float().square().mean()


def by_metann(net: nn.Module) -> Forward:
    learner = Learner(net)
    return lambda weights, x: learner.functional(weights, True, x)


def by_torch(net: nn.Module) -> Forward:
    return lambda weights, x: functional_call(net, by_name(net, weights), (x,))


def meta_gradient(
    forward: Forward,
    net: nn.Module,
    data: Tensor,
    dtype: torch.dtype | None = None,
    scale: float = 1.0,
) -> Tensor:
    """Through the inner steps, under autocast unless `dtype` is None; all in one vector."""
    start = [p.detach().clone().requires_grad_() for p in net.parameters()]
    scaler = GradScaler("cpu", init_scale=scale)
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        loss = adapted(forward, start, data, scaler)
    gradient = torch.autograd.grad(scaler.scale(loss), start)
    return torch.cat([part.flatten() for part in gradient]) / scale


def distance(found: Tensor, wanted: Tensor) -> float:
    """Relative to what is wanted."""
    return float((found - wanted).norm() / wanted.norm())


@HALVES
@NETS
def test_T29_an_inner_loop_under_autocast_with_a_scaler(make, shape, dtype, error) -> None:
    net, data = make().float(), torch.randn(3, *shape, dtype=torch.float32)
    exact = meta_gradient(by_torch(net), net, data)

    found = meta_gradient(by_metann(net), net, data, dtype, scale=1024.0)

    # It is rounded, as it should be, and as much as half precision is.
    assert 1e-6 < distance(found, exact) < error


@NETS
def test_T29_the_rounded_meta_gradient_is_that_of_torch_bit_by_bit(make, shape) -> None:
    net, data = make().float(), torch.randn(3, *shape, dtype=torch.float32)

    found, wanted = (
        meta_gradient(way(net), net, data, torch.bfloat16, scale=64.0)
        for way in (by_metann, by_torch)
    )

    assert wanted.abs().sum() > 0
    assert torch.equal(found, wanted)


@NETS
def test_T29_without_autocast_a_scale_that_is_a_power_of_two_changes_nothing(make, shape) -> None:
    net, data = make().float(), torch.randn(3, *shape, dtype=torch.float32)

    found, wanted = (
        meta_gradient(by_metann(net), net, data, scale=scale) for scale in (2.0**12, 1.0)
    )

    assert distance(found, wanted) < 1e-5


def test_T29_a_scaler_outside_steps_the_modules_own_parameters() -> None:
    net, data = mlp().float(), torch.randn(3, 6, 3, dtype=torch.float32)
    before = torch.cat([p.detach().flatten() for p in net.parameters()])
    optimiser, scaler = torch.optim.SGD(net.parameters(), lr=0.5), GradScaler("cpu")
    forward = by_metann(net)
    wanted = before - 0.5 * meta_gradient(forward, net, data)

    loss = adapted(forward, [*net.parameters()], data, GradScaler("cpu", init_scale=256.0))
    scaler.scale(loss).backward()
    scaler.step(optimiser)
    scaler.update()

    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert distance(after - before, wanted - before) < 1e-4


def test_T29_a_scaler_skips_a_meta_step_that_overflows() -> None:
    net, data = mlp().float(), torch.randn(3, 6, 3, dtype=torch.float32)
    before = [p.detach().clone() for p in net.parameters()]
    optimiser, scaler = torch.optim.SGD(net.parameters(), lr=0.5), GradScaler("cpu")
    scale = scaler.get_scale()

    with torch.autocast("cpu", dtype=torch.float16):
        # 70000 is more than float16 can hold.
        loss = adapted(by_metann(net), [*net.parameters()], data * 7e4, GradScaler("cpu"))
    scaler.scale(loss).backward()
    scaler.step(optimiser)
    scaler.update()

    assert all(map(torch.equal, net.parameters(), before))
    assert scaler.get_scale() == scale / 2

"""Large convolutions on the CPU are made task by task, which the log says; others are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metann import Learner
from metann.batching import Way, over_tasks
from metann.functional import slower

TASKS = 2
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    # A layer, the shape of an example, and how many examples give 96 entries.
    "Conv1d": (lambda: nn.Conv1d(2, 4, 3, padding=1), (2, 12), 2),
    "Conv2d": (lambda: nn.Conv2d(2, 4, 3, padding=1, stride=(2, 1)), (2, 4, 6), 2),
    "Conv3d": (lambda: nn.Conv3d(2, 4, 1), (2, 2, 2, 3), 2),
}


@pytest.fixture
def _large_is_above_95(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slower, "LARGEST", 95)


def sets_of(net: nn.Module) -> list[Tensor]:
    """Weights of each task."""
    return [torch.stack([p, 1.3 * p]).detach().requires_grad_() for p in net.parameters()]


def second(outputs: Tensor, sets: list[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of the squared norm of the gradient."""
    first = torch.autograd.grad(outputs.pow(3).sum(), sets, create_graph=True)
    return torch.autograd.grad(torch.stack([g.square().sum() for g in first]).sum(), sets)


@pytest.mark.usefixtures("_large_is_above_95")
@pytest.mark.parametrize("name", LAYERS)
def test_a_large_convolution_is_looped_over_with_the_same_results(
    name: str, caplog: pytest.LogCaptureFixture
):
    make, shape, examples = LAYERS[name]
    net, x = make(), torch.randn(TASKS, examples, *shape)
    sets, learner = sets_of(net), Learner(net)

    with caplog.at_level("INFO", logger="metann.batching"):
        looped = learner.batched(sets, True, x)
        again = learner.batched(sets, True, x)

    assert [record.getMessage() for record in caplog.records] == [
        f"{name} is called once for each of 2 tasks: a convolution gives 96 numbers for each, and "
        "for more than 95 that is faster on the CPU"
    ]
    torch.testing.assert_close(again, looped)
    vectorised = over_tasks(
        lambda p, x: Learner(net).functional(p, True, x), sets, x, how="vectorised"
    )
    torch.testing.assert_close(vectorised, looped)
    torch.testing.assert_close(second(vectorised, sets), second(looped, sets))


@pytest.mark.usefixtures("_large_is_above_95")
@pytest.mark.parametrize("name", LAYERS)
def test_a_smaller_one_is_not(name: str):
    make, shape, examples = LAYERS[name]
    net, x = make(), torch.randn(TASKS, examples - 1, *shape)

    learner = Learner(net)

    found = learner.batched(sets_of(net), True, x)

    assert found.shape[:2] == (TASKS, examples - 1)
    assert not learner._way.loops


@pytest.mark.usefixtures("_large_is_above_95")
def test_weights_that_all_tasks_share_are_one_convolution():
    x, weight, way = torch.randn(TASKS, 9, 2, 5, 5), torch.randn(4, 2, 3, 3), Way()

    assert over_tasks(lambda x: F.conv2d(x, weight), x, how=way).shape == (TASKS, 9, 4, 3, 3)
    assert not way.loops


@pytest.mark.usefixtures("_large_is_above_95")
def test_a_convolution_outside_of_any_module_counts_as_well():
    x, weight, way = torch.randn(TASKS, 9, 2, 5, 5), torch.randn(TASKS, 4, 2, 3, 3), Way()

    assert over_tasks(F.conv2d, x, weight, how=way).shape == (TASKS, 9, 4, 3, 3)
    assert way.loops


@pytest.mark.usefixtures("_large_is_above_95")
def test_a_users_own_vmap_is_never_refused():
    net = nn.Conv2d(2, 4, 3)
    x = torch.randn(TASKS, 9, 2, 8, 8)

    def call(params: list[Tensor], x: Tensor) -> Any:
        return Learner(net).functional(params, True, x)

    assert torch.vmap(call)(sets_of(net), x).shape == (TASKS, 9, 4, 6, 6)


def test_the_limit_is_a_mebibyte_of_float32():
    assert slower.LARGEST * torch.finfo(torch.float32).bits // 8 == 2**20

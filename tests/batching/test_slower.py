"""Large convolutions on the CPU are made in a loop over tasks, which is said; others are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metann import Learner
from metann.batching import Way, over_tasks
from metann.errors import LoopWarning
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
def test_a_large_convolution_is_looped_over_with_the_same_results(name: str):
    make, shape, examples = LAYERS[name]
    net, x = make(), torch.randn(TASKS, examples, *shape)
    sets, learner = sets_of(net), Learner(net)

    with pytest.warns(
        LoopWarning,
        match=rf"^one pass over 2 tasks was asked for, but {type(net).__name__} is faster in a "
        r"loop: a convolution gives 96 numbers for each task, and the cache of a CPU holds 95\. "
        r"From now on it is called once a task, with the same results\. It may stay so: "
        r"warnings\.simplefilter\(\"ignore\", LoopWarning\)\.$",
    ):
        looped = learner.batched(sets, True, x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(learner.batched(sets, True, x), looped)
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

    found = Learner(net).batched(sets_of(net), True, x)

    assert found.shape[:2] == (TASKS, examples - 1)


@pytest.mark.usefixtures("_large_is_above_95")
def test_weights_that_all_tasks_share_are_one_convolution():
    x, weight = torch.randn(TASKS, 9, 2, 5, 5), torch.randn(4, 2, 3, 3)

    assert over_tasks(lambda x: F.conv2d(x, weight), x).shape == (TASKS, 9, 4, 3, 3)


@pytest.mark.usefixtures("_large_is_above_95")
def test_a_convolution_outside_of_any_module_counts_as_well():
    x, weight = torch.randn(TASKS, 9, 2, 5, 5), torch.randn(TASKS, 4, 2, 3, 3)

    with pytest.warns(LoopWarning, match=r"but conv2d is faster in a loop"):
        assert over_tasks(F.conv2d, x, weight).shape == (TASKS, 9, 4, 3, 3)


@pytest.mark.usefixtures("_large_is_above_95")
def test_a_users_own_vmap_is_never_refused():
    net = nn.Conv2d(2, 4, 3)
    x = torch.randn(TASKS, 9, 2, 8, 8)

    def call(params: list[Tensor], x: Tensor) -> Any:
        return Learner(net).functional(params, True, x)

    assert torch.vmap(call)(sets_of(net), x).shape == (TASKS, 9, 4, 6, 6)


@pytest.mark.usefixtures("_large_is_above_95")
def test_a_way_remembers_that_a_loop_is_faster():
    net, way = nn.Conv2d(2, 4, 3), Way()
    learner, x = Learner(net), torch.randn(TASKS, 9, 2, 8, 8)

    with pytest.warns(LoopWarning, match=r"is faster in a loop"):
        over_tasks(lambda p, x: learner.functional(p, True, x), sets_of(net), x, how=way)

    assert way.loops


def test_the_limit_is_a_mebibyte_of_float32():
    assert slower.LARGEST * torch.finfo(torch.float32).bits // 8 == 2**20

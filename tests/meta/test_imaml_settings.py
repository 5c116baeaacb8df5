"""IMAML as a MAML: its steps and modes, the memory that it takes, and what it refuses."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from few_shot_cases import classification, draw_tasks, dropping, mlp, stacked
from imaml_cases import RATE, STRENGTH, adapted_in_place, imaml_of, regression
from torch import Tensor, nn

from metann import optim
from metann.errors import ArgumentError, LinearSolveError, OptimizerError
from metann.meta import IMAML, MAML, TaskLosses, conjugate_gradient

CLOSE = {"rtol": 1e-8, "atol": 1e-10}


# ── what else a MAML can do ──────────────────────────────────────────────────────────────────


def test_steps_in_eval_mode_and_what_is_said_of_them() -> None:
    model, (support, _) = mlp(), draw_tasks()[0]
    imaml = IMAML(model, 2, 6, RATE, classification, strength=STRENGTH)

    assert len(imaml.adapt(support).losses) == 2
    imaml.eval()
    adapted = imaml.adapt(support)

    expected = adapted_in_place(model, support, 6)
    torch.testing.assert_close(adapted.fast.weights, [*expected.parameters()], **CLOSE)
    assert len(adapted.losses) == 6
    assert bool((adapted.losses.diff() < 0).all())


def test_going_on_from_where_another_stopped() -> None:
    """The proximal term still holds the weights to the slow ones."""
    model, (support, query) = mlp(), draw_tasks()[0]
    imaml = imaml_of(model, 5)
    expected = classification(imaml(support), query)

    begun = imaml.adapt(support, steps=2)
    found = classification(imaml.adapt(support, steps=3, start=begun).model, query)

    leaves = [*model.parameters()]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), **CLOSE
    )


def test_losses_by_step_are_values() -> None:
    model, tasks = mlp(), stacked(draw_tasks())
    imaml = imaml_of(model, 3)

    losses = imaml.losses_by_step(*tasks)

    assert losses.shape == (3, 4)
    assert not losses.requires_grad
    torch.testing.assert_close(losses[:, -1], imaml.task_losses(*tasks).detach())


def test_without_gradients_and_in_a_loop_over_tasks() -> None:
    model, tasks = mlp(), stacked(draw_tasks())
    in_one = imaml_of(model, 3).task_losses(*tasks)
    one_by_one = imaml_of(model, 3, tasks="loop").task_losses(*tasks)
    with torch.no_grad():
        plain = imaml_of(model, 3).task_losses(*tasks)

    assert not plain.requires_grad
    torch.testing.assert_close(plain, in_one.detach())
    leaves = [*model.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(one_by_one.sum(), leaves), torch.autograd.grad(in_one.sum(), leaves)
    )


def test_one_mask_of_dropout_for_a_solution() -> None:
    """Each evaluation draws one; that which is differentiated draws one for all products."""
    model, tasks = dropping(), stacked(draw_tasks())

    TaskLosses(imaml_of(model, 3))(*tasks).sum().backward()

    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


def test_a_learned_part_of_a_transform_is_refused() -> None:
    clipped = optim.transformed(optim.SGD(0.1), optim.clip_by_norm(nn.Parameter(torch.tensor(1.0))))

    with pytest.raises(ArgumentError, match=r"but \S*max_norm\S* of \w+ is to be learned"):
        IMAML(mlp(), 3, 3, None, classification, strength=STRENGTH, optimizer=clipped)


def test_it_learns() -> None:
    """Lines through the origin with slopes about 3: the slow weight becomes 3."""
    model = nn.Linear(1, 1, bias=False)
    imaml = IMAML(model, 10, 10, 0.3, regression, strength=nn.Parameter(torch.tensor(1.0)))
    outer = torch.optim.Adam(imaml.parameters(), 0.1)
    assert len([*imaml.parameters()]) == 2
    for _ in range(80):
        slope, x = 3 + 0.1 * torch.randn(8, 1, 1), torch.randn(2, 8, 5, 1)
        support, query = ((points, slope * points) for points in x)
        outer.zero_grad()
        imaml.task_losses(support, query).mean().backward()
        outer.step()

    assert abs(model.weight.item() - 3) < 0.1


# ── memory ───────────────────────────────────────────────────────────────────────────────────


def bytes_in_the_graph(run: Callable[[], Tensor]) -> int:
    """What is alive of the saved tensors once a loss has been computed."""
    alive: weakref.WeakSet[Kept] = weakref.WeakSet()

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor
            alive.add(self)

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        loss = run()
    found = sum(kept.tensor.nbytes for kept in alive)
    del loss
    return found


def test_memory_does_not_grow_with_the_number_of_steps() -> None:
    model, tasks = mlp(), stacked(draw_tasks())

    def implicitly(steps: int) -> int:
        return bytes_in_the_graph(lambda: imaml_of(model, steps).task_losses(*tasks))

    def unrolled(steps: int) -> int:
        maml = MAML(model, steps, steps, RATE, classification)
        return bytes_in_the_graph(lambda: maml.task_losses(*tasks))

    assert 0 < implicitly(2) == implicitly(20) < unrolled(20) / 5


def number_of_tensors() -> int:
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


def test_T46_a_loop_of_meta_steps_keeps_nothing() -> None:
    """Without the help of the garbage collector."""
    imaml, tasks = imaml_of(mlp(), 3), stacked(draw_tasks())

    def once() -> None:
        imaml.task_losses(*tasks).sum().backward()

    once()
    gc.collect()
    gc.disable()
    try:
        before = number_of_tensors()
        for _ in range(50):
            once()
        after = number_of_tensors()
    finally:
        gc.enable()

    assert after == before


# ── what is refused ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "optimizer",
    [optim.SGD(lr=0.1, weight_decay=0.5), optim.AdamW(lr=0.1)],
    ids=["SGD", "AdamW"],
)
def test_a_decay_would_move_the_minimum(optimizer: optim.Optimizer) -> None:
    with pytest.raises(ArgumentError, match=r"got weight_decay=0\.\d+, .* to another\. Add the"):
        IMAML(mlp(), 1, 1, None, classification, strength=1.0, optimizer=optimizer)


@pytest.mark.parametrize(
    "rate",
    [
        nn.Parameter(torch.tensor(0.1)),
        optim.PerStep([0.1, torch.tensor(0.1, requires_grad=True) * 2]),
        nn.ParameterList([torch.tensor(0.1) for _ in range(4)]),
    ],
    ids=["one", "of a step, a result", "of each weight"],
)
def test_T45_a_step_size_has_no_meta_gradient(rate: Any) -> None:
    with pytest.raises(ArgumentError, match=r"but lr of SGD is to be learned\. .* the strength"):
        IMAML(mlp(), 1, 1, rate, classification, strength=1.0)


def test_a_strength_below_zero() -> None:
    with pytest.raises(OptimizerError, match=r"strength must be at least 0, got -1\.0"):
        IMAML(mlp(), 1, 1, 0.1, classification, strength=-1.0)


def test_a_strength_too_low_for_the_curvature_of_the_loss() -> None:
    def saddle(model: nn.Module, data: Tensor) -> Tensor:
        return model(data).cos().mean()

    model = nn.Linear(2, 1, bias=False)
    nn.init.constant_(model.weight, 0.01)
    x = torch.randn(4, 9, 2)
    weak = IMAML(model, 0, 0, RATE, saddle, strength=0.1, solver=conjugate_gradient)
    strong = IMAML(model, 0, 0, RATE, saddle, strength=10.0, solver=conjugate_gradient)

    strong.task_losses(x, x).sum().backward()
    with pytest.raises(LinearSolveError, match=r"for 4 of 4 tasks, .* Make the proximal term"):
        weak.task_losses(x, x).sum().backward()


def test_a_net_that_is_not_convex_trains_nevertheless() -> None:
    """A task keeps what it has reached before the curvature is negative: here nothing."""
    signs = torch.tensor([1.0, -1.0])[:, None, None]

    def evaluator(model: nn.Module, data: Tensor) -> Tensor:
        return (data * model(torch.ones(1, 1)).square()).mean()

    model = nn.Linear(1, 1, bias=False)
    convex, both = signs[:1], signs
    imaml = IMAML(model, 0, 0, RATE, evaluator, strength=1.0)

    gradients = [
        torch.autograd.grad(imaml.task_losses(support, 1 + 0 * support).sum(), model.weight)
        for support in (convex, both)
    ]

    torch.testing.assert_close(gradients[0], (2 * model.weight.detach() / 3,))
    torch.testing.assert_close(gradients[1], gradients[0])

"""Implicit MAML comes to what its paper says, whatever the inner loop did and for how long."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from few_shot_cases import NETS, Data, Task, classification, draw_tasks, dropping, mlp, stacked
from references import Named, add
from torch import Tensor, nn
from torch.func import functional_call

from metann import optim
from metann.errors import ArgumentError, LinearSolveError, OptimizerError
from metann.meta import IMAML, MAML, TaskLosses
from metann.meta.linear_solvers import conjugate_gradient, direct_solve, neumann_series

CLOSE = {"rtol": 1e-8, "atol": 1e-10}
exactly = partial(conjugate_gradient, tolerance=1e-13, steps=500)
RATE, STRENGTH = 0.1, 3.0
# Batch normalization bends the loss down along some directions, by more than any usual strength.
BY_NET = {"convolution": direct_solve}


def regression(model: nn.Module, data: Data) -> Tensor:
    return (model(data[0]) - data[1]).square().mean()


# ── a reference: in place, with the Hessian written down ─────────────────────────────────────


def adapted_in_place(model: nn.Module, support: Data, steps: int) -> nn.Module:
    """Gradient descent on the loss with its proximal term, by torch alone."""
    moved = copy.deepcopy(model)
    pairs = [
        (weight, slow.detach())
        for weight, slow in zip(moved.parameters(), model.parameters(), strict=True)
    ]
    descent = torch.optim.SGD(moved.parameters(), RATE)
    for _ in range(steps):
        descent.zero_grad()
        way = sum((weight - slow).square().sum() for weight, slow in pairs)
        (classification(moved, support) + STRENGTH / 2 * way).backward()
        descent.step()
    return moved


def hessian_of(loss: Tensor, weights: list[Tensor]) -> Tensor:
    slopes = torch.autograd.grad(loss, weights, create_graph=True)
    slope = torch.cat([part.flatten() for part in slopes])
    columns = torch.autograd.grad(
        slope, weights, torch.eye(len(slope)), retain_graph=True, is_grads_batched=True
    )
    return torch.cat([part.flatten(1) for part in columns], dim=1)


def by_the_paper(model: nn.Module, tasks: list[Task], steps: int) -> tuple[list[Tensor], Named]:
    """The outer losses, and the sum over tasks of (I + H / lambda)^-1 v."""
    losses: list[Tensor] = []
    total: Named = {}
    for support, query in tasks:
        moved = adapted_in_place(model, support, steps)
        weights = dict(moved.named_parameters())
        hessian = hessian_of(classification(moved, support), [*weights.values()])
        losses.append(classification(moved, query))
        slope = torch.autograd.grad(losses[-1], [*weights.values()])
        matrix = torch.eye(len(hessian)) + hessian / STRENGTH
        found = torch.linalg.solve(matrix, torch.cat([part.flatten() for part in slope]))
        pieces = found.split([weight.numel() for weight in weights.values()])
        shaped = [piece.view_as(w) for piece, w in zip(pieces, weights.values(), strict=True)]
        add(total, dict(zip(weights, shaped, strict=True)))
    return [loss.detach() for loss in losses], total


def gradients_of(module: nn.Module) -> Named:
    """What backward() has left, and leaves none behind."""
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named_in(module)}
    module.zero_grad()
    return found


def named_in(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [*module.named_parameters()]


def imaml_of(model: nn.Module, steps: int, evaluator: Any = classification, **more: Any) -> Any:
    settings: dict[str, Any] = {"lr": RATE, "strength": STRENGTH, "solver": exactly, **more}
    return IMAML(model, steps, steps, evaluator=evaluator, **settings)


# ── the meta-gradient ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("net", NETS)
def test_all_tasks_in_one_pass(net: str) -> None:
    """After few steps, where nothing has converged: the formula is the same."""
    model, tasks = NETS[net](), draw_tasks()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected, gradients = by_the_paper(model, tasks, steps=4)

    imaml = imaml_of(model, 4, solver=BY_NET.get(net, exactly))
    losses = imaml.task_losses(*stacked(tasks))
    losses.sum().backward()

    torch.testing.assert_close([*losses.detach()], expected, **CLOSE)
    torch.testing.assert_close(gradients_of(model), gradients, **CLOSE)


@pytest.mark.parametrize("net", ["mlp", "convolution", "tied"])
def test_one_task_after_the_other(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    _, gradients = by_the_paper(model, tasks, steps=4)
    imaml = imaml_of(model, 4, solver=BY_NET.get(net, exactly))

    for support, query in tasks:
        classification(imaml(support), query).backward()

    torch.testing.assert_close(gradients_of(model), gradients, **CLOSE)


@pytest.mark.parametrize(
    "solver",
    [exactly, partial(neumann_series, rate=0.25, tolerance=1e-12, steps=1000), direct_solve],
    ids=["conjugate_gradient", "neumann_series", "direct_solve"],
)
def test_T47_equal_to_the_closed_form_on_a_quadratic(solver: Any) -> None:
    """Linear regression: theta(theta_0) = (X'X + lambda)^-1 (X'y + lambda theta_0)."""
    model, strength = nn.Linear(3, 1, bias=False), nn.Parameter(torch.tensor(1.5))
    x, y, more_x, more_y = (torch.randn(4, 8, columns) for columns in (3, 1, 3, 1))
    gram = 2 / 8 * x.mT @ x + strength * torch.eye(3)
    slow = model.weight.T
    exact = torch.linalg.solve(gram, 2 / 8 * x.mT @ y + strength * slow)
    loss = (more_x @ exact - more_y).square().mean((1, 2))
    expected = torch.autograd.grad(loss.sum(), [model.weight, strength])

    imaml = IMAML(model, 300, 300, 0.15, regression, strength=strength, solver=solver)
    losses = imaml.task_losses((x, y), (more_x, more_y))
    losses.sum().backward()

    torch.testing.assert_close(losses, loss, **CLOSE)
    torch.testing.assert_close((model.weight.grad, strength.grad), expected, **CLOSE)


class Bilevel:
    """A net whose head adapts; body, strengths and the scale of the data are meta-trained."""

    def __init__(self) -> None:
        self.model = mlp()
        self.scale = nn.Parameter(torch.tensor(1.3))
        self.strengths = nn.ParameterList([torch.tensor(0.9), torch.rand(4) + 0.5])
        self.leaves = [*self.model.parameters(), self.scale, *self.strengths]
        self.tasks = stacked(draw_tasks())

    def evaluator(self, model: nn.Module, data: Data) -> Tensor:
        return classification(model, (data[0] * self.scale, data[1]))

    def implicitly(self, optimizer: optim.Optimizer, steps: int = 200) -> Tensor:
        settings: Any = {"names": ["2"], "lr": None, "optimizer": optimizer}
        imaml = imaml_of(self.model, steps, self.evaluator, strength=self.strengths, **settings)
        losses: Tensor = imaml.task_losses(*self.tasks).sum()
        return losses

    def unrolled(self) -> Tensor:
        """Plain gradient descent with its graph, one task after the other."""
        names = ["2.weight", "2.bias"]
        slow = [self.model.get_parameter(name) for name in names]
        losses: list[Tensor] = []
        (xs, ys), (more_xs, more_ys) = self.tasks
        for x, y, more_x, more_y in zip(xs, ys, more_xs, more_ys, strict=True):
            fast: list[Tensor] = [*slow]
            for _ in range(200):
                loss = self.called(dict(zip(names, fast, strict=True)), (x, y))
                for strength, weight, anchor in zip(self.strengths, fast, slow, strict=True):
                    loss = loss + (strength * (weight - anchor).square()).sum() / 2
                slopes = torch.autograd.grad(loss, fast, create_graph=True)
                fast = [w - 0.4 * slope for w, slope in zip(fast, slopes, strict=True)]
            assert max(slope.abs().max() for slope in slopes) < 1e-13
            losses.append(self.called(dict(zip(names, fast, strict=True)), (more_x, more_y)))
        return torch.stack(losses).sum()

    def called(self, weights: Named, data: Data) -> Tensor:
        output = functional_call(self.model, weights, (data[0] * self.scale,))
        return torch.nn.functional.cross_entropy(output, data[1])


def test_T45_all_that_the_inner_loss_depends_on_has_the_gradient_of_unrolled_steps() -> None:
    """Slow weights that do not adapt, strengths, and what the evaluator closes over."""
    problem = Bilevel()
    expected = torch.autograd.grad(problem.unrolled(), problem.leaves)

    found = torch.autograd.grad(problem.implicitly(optim.SGD(lr=0.4)), problem.leaves)

    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD(lr=0.2, momentum=0.5, nesterov=True),
        optim.Adam(lr=optim.PerStep([0.1] * 300 + [1e-3])),
    ],
    ids=["momentum", "Adam"],
)
def test_the_way_to_the_minimum_does_not_count(optimizer: optim.Optimizer) -> None:
    problem = Bilevel()
    expected = torch.autograd.grad(problem.implicitly(optim.SGD(lr=0.4)), problem.leaves)

    found = torch.autograd.grad(problem.implicitly(optimizer, steps=600), problem.leaves)

    torch.testing.assert_close(found, expected, **CLOSE)


def test_equal_to_finite_differences() -> None:
    problem = Bilevel()

    def outer(*_: Tensor) -> Tensor:
        return problem.implicitly(optim.SGD(lr=0.4), steps=60)

    leaves = [problem.model[0].weight, problem.model[2].bias, problem.scale, *problem.strengths]
    assert torch.autograd.gradcheck(outer, leaves, fast_mode=True)


# ── which weights have one ───────────────────────────────────────────────────────────────────


def test_frozen_weights_stay() -> None:
    model, tasks = mlp(), draw_tasks()
    model[0].weight.requires_grad_(False)
    imaml = imaml_of(model, 3)

    adapted = imaml.adapt(tasks[0][0])
    imaml.task_losses(*stacked(tasks)).sum().backward()

    torch.testing.assert_close(adapted.model[0].weight, model[0].weight.detach())
    assert not torch.equal(adapted.model[0].bias, model[0].bias)
    assert model[0].weight.grad is None
    assert all(p.grad is not None and bool(p.grad.any()) for p in [model[0].bias, model[2].weight])


class TwoHeads(nn.Module):
    """What the support set uses, and what the query set uses, is not the same."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.neither = nn.Linear(4, 1), nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x: Tensor, is_second: bool) -> Tensor:
        return self.second(x) if is_second else self.first(x)


def test_weights_that_the_inner_loss_does_not_use_have_their_plain_gradient() -> None:
    model, x = TwoHeads(), torch.randn(3, 5, 4)

    def evaluator(model: nn.Module, data: tuple[Tensor, bool]) -> Tensor:
        return model(*data).square().mean()

    IMAML(model, 3, 3, RATE, evaluator, strength=2.0).task_losses(
        (x, False), (x, True)
    ).sum().backward()

    found = gradients_of(model)
    expected = torch.autograd.grad(
        3 * model.second(x).square().mean(), [*model.second.parameters()]
    )
    torch.testing.assert_close((found["second.weight"], found["second.bias"]), expected)
    assert not any(bool(found[name].any()) for name in found if not name.startswith("second"))


# ── what else a MAML can do ──────────────────────────────────────────────────────────────────


def test_steps_in_eval_mode_and_what_is_said_of_them() -> None:
    model, (support, _) = mlp(), draw_tasks()[0]
    imaml = IMAML(model, 2, 6, RATE, classification, strength=STRENGTH)

    assert len(imaml.adapt(support).losses) == 2
    imaml.eval()
    adapted = imaml.adapt(support)

    expected = adapted_in_place(model, support, 6)
    torch.testing.assert_close(
        [*adapted.model.parameters()] or adapted.fast.weights, [*expected.parameters()], **CLOSE
    )
    assert len(adapted.losses) == 6
    assert bool((adapted.losses.diff() < 0).all()), "with the proximal term it goes down"


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
    weak = IMAML(model, 0, 0, RATE, saddle, strength=0.1)
    strong = IMAML(model, 0, 0, RATE, saddle, strength=10.0)

    strong.task_losses(x, x).sum().backward()
    with pytest.raises(LinearSolveError, match=r"for 4 of 4 tasks, .* Make the proximal term"):
        weak.task_losses(x, x).sum().backward()

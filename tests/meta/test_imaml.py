"""Implicit MAML comes to what its paper says, whatever the inner loop did and for how long."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from few_shot_cases import NETS, Data, Task, classification, draw_tasks, mlp, stacked
from imaml_cases import (
    RATE,
    STRENGTH,
    adapted_in_place,
    exactly,
    gradients_of,
    imaml_of,
    regression,
)
from references import Named, add
from torch import Tensor, nn
from torch.func import functional_call

from metann import optim
from metann.meta import IMAML
from metann.meta.linear_solvers import direct_solve, neumann_series

CLOSE = {"rtol": 1e-8, "atol": 1e-10}
# Batch normalization bends the loss down along some directions, by more than any usual strength.
BY_NET = {"convolution": direct_solve}


# ── a reference: in place, with the Hessian written down ─────────────────────────────────────


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

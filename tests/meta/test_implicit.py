"""A solution as a function of all that its objective is made of, leaves or not."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from metann.errors import ArgumentError, LinearSolveError, NotConvergedWarning, ThirdOrderError
from metann.meta.implicit import implicit_solution
from metann.meta.linear_solvers import (
    LinearSolver,
    conjugate_gradient,
    direct_solve,
    neumann_series,
)

CLOSE = {"rtol": 1e-8, "atol": 1e-10}
SOLVERS: dict[str, LinearSolver] = {
    "conjugate_gradient": partial(conjugate_gradient, tolerance=1e-13),
    "neumann_series": partial(neumann_series, rate=0.03, steps=5000, tolerance=1e-13),
    "direct_solve": direct_solve,
}
exactly = SOLVERS["conjugate_gradient"]


def leaf(*shape: int) -> Tensor:
    return torch.randn(shape).requires_grad_()


# ── on a quadratic, where the solution has a closed form ─────────────────────────────────────


class Ridge:
    """Ridge regression with a learned strength on features that are the result of a computation."""

    def __init__(self) -> None:
        self.data, self.mixing, self.y = leaf(8, 3), leaf(3, 4), leaf(8)
        self.log_strength = torch.tensor(0.3, requires_grad=True)
        self.leaves = [self.data, self.mixing, self.y, self.log_strength]
        self.x, self.strength = torch.tanh(self.data @ self.mixing), self.log_strength.exp()

    def objective(self, params: list[Tensor]) -> Tensor:
        residual = self.x @ params[0] - self.y
        return (residual.square().sum() + self.strength * params[0].square().sum()) / 2

    def closed_form(self) -> Tensor:
        gram = self.x.T @ self.x + self.strength * torch.eye(4)
        return torch.linalg.solve(gram, self.x.T @ self.y)


def outer(solution: Tensor) -> Tensor:
    return (solution * torch.arange(1.0, 5.0) + solution**3).sum()


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_T45_T47_equal_to_the_closed_form(solver: LinearSolver) -> None:
    """Also in the strength of the regularisation, which is learned."""
    ridge = Ridge()
    expected = torch.autograd.grad(outer(ridge.closed_form()), ridge.leaves, retain_graph=True)

    (solution,) = implicit_solution(ridge.objective, [ridge.closed_form()], solver=solver)
    found = torch.autograd.grad(outer(solution), ridge.leaves)

    torch.testing.assert_close(solution, ridge.closed_form(), rtol=0, atol=0)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_what_lies_between_has_its_gradient_too() -> None:
    ridge = Ridge()
    between = [ridge.x, ridge.strength]
    expected = torch.autograd.grad(outer(ridge.closed_form()), between, retain_graph=True)

    (solution,) = implicit_solution(ridge.objective, [ridge.closed_form()], solver=exactly)

    torch.testing.assert_close(torch.autograd.grad(outer(solution), between), expected, **CLOSE)


def test_backward_twice_through_a_retained_graph() -> None:
    ridge = Ridge()
    (solution,) = implicit_solution(ridge.objective, [ridge.closed_form()], solver=exactly)

    first = torch.autograd.grad(outer(solution), ridge.leaves, retain_graph=True)
    second = torch.autograd.grad(outer(solution), ridge.leaves)

    torch.testing.assert_close(second, first, rtol=0, atol=0)


def test_each_task_has_a_solution_of_its_own() -> None:
    x, y, strength = leaf(3, 6, 4), leaf(3, 6), torch.tensor(0.7, requires_grad=True)

    def objective(params: list[Tensor]) -> Tensor:
        residual = torch.einsum("tnd,td->tn", x, params[0]) - y
        return residual.square().sum(-1) + strength * params[0].square().sum(-1)

    gram = x.mT @ x + strength * torch.eye(4)
    expected = torch.linalg.solve(gram, (x.mT @ y[..., None])[..., 0])
    (found,) = implicit_solution(objective, [expected], solver=exactly)

    leaves = [x, y, strength]
    torch.testing.assert_close(
        torch.autograd.grad(outer(found), leaves), torch.autograd.grad(outer(expected), leaves)
    )


# ── on a net, against unrolled steps and finite differences ──────────────────────────────────


class Problem:
    """A small net with frozen and slow weights, penalised by learned strengths, one a weight."""

    def __init__(self) -> None:
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Tanh())
        self.head = nn.Linear(2, 1)  # does not adapt, but is meta-trained
        self.head.bias.requires_grad_(False)
        self.strengths = nn.Parameter(torch.rand(4) + 0.5)
        self.importance = nn.Parameter(torch.randn(7))
        self.x, self.y = torch.randn(7, 3), torch.randn(7, 1)
        self.leaves = [self.strengths, self.importance, self.head.weight]

    def outputs(self, params: list[Tensor]) -> Tensor:
        names = dict(self.net.named_parameters())
        features = functional_call(self.net, dict(zip(names, params, strict=True)), (self.x,))
        return self.head(features)

    def objective(self, params: list[Tensor]) -> Tensor:
        errors = (self.outputs(params) - self.y).square().mean(-1)
        fit = (self.importance.softmax(0) * errors).sum()
        squares = torch.stack([param.square().sum() for param in params])
        # Not all at zero: the minimum is away from symmetries.
        return fit + (self.strengths * squares).sum() / 2 - 0.3 * params[0].sum()

    def outer(self, params: list[Tensor]) -> Tensor:
        return (self.outputs(params) - self.y.flip(0)).square().mean()

    def solved(self, keeps_graph: bool) -> list[Tensor]:
        """After gradient descent that moves no more."""
        params: list[Tensor] = [param.clone() for param in self.net.parameters()]
        for _ in range(300):
            gradients = torch.autograd.grad(
                self.objective(params), params, create_graph=keeps_graph
            )
            params = [p - 0.4 * g for p, g in zip(params, gradients, strict=True)]
            if not keeps_graph:
                params = [param.detach().requires_grad_() for param in params]
        assert max(g.abs().max() for g in gradients) < 1e-12
        return params


def test_equal_to_unrolled_steps_that_have_converged() -> None:
    problem = Problem()
    unrolled = problem.outer(problem.solved(keeps_graph=True))
    expected = torch.autograd.grad(unrolled, problem.leaves)

    solved = problem.solved(keeps_graph=False)
    solution = implicit_solution(problem.objective, solved, solver=exactly)
    found = torch.autograd.grad(problem.outer(solution), problem.leaves)

    torch.testing.assert_close(found, expected, **CLOSE)


def test_equal_to_finite_differences() -> None:
    problem = Problem()

    def outer(*_: Tensor) -> Tensor:
        solution = problem.solved(keeps_graph=False)
        return problem.outer(implicit_solution(problem.objective, solution, solver=exactly))

    assert torch.autograd.gradcheck(outer, problem.leaves, fast_mode=True)


def test_backward_leaves_gradients_where_modules_expect_them_and_nowhere_else() -> None:
    problem = Problem()
    solved = problem.solved(keeps_graph=False)
    expected = torch.autograd.grad(
        problem.outer(implicit_solution(problem.objective, solved, solver=exactly)), problem.leaves
    )
    hooked: list[Tensor] = []
    problem.strengths.register_hook(hooked.append)

    problem.outer(implicit_solution(problem.objective, solved, solver=exactly)).backward()

    torch.testing.assert_close([leaf.grad for leaf in problem.leaves], [*expected])
    torch.testing.assert_close(hooked, [expected[0]])
    assert all(param.grad is None for param in [*problem.net.parameters(), *solved])
    assert problem.head.bias.grad is None


def test_what_is_random_in_the_objective_is_drawn_once() -> None:
    """So the Hessian and the cross-derivatives are those of one and the same function."""
    x, y, strength = torch.randn(9, 4), torch.randn(9), torch.tensor(0.8, requires_grad=True)
    calls: list[Tensor] = []

    def objective(params: list[Tensor]) -> Tensor:
        calls.append(F.dropout(x, 0.5))
        residual = calls[-1] @ params[0] - y
        return (residual.square().sum() + strength * params[0].square().sum()) / 2

    solution = torch.randn(4)
    outer(implicit_solution(objective, [solution], solver=exactly)[0]).backward()

    assert len(calls) == 1
    gram = calls[0].T @ calls[0] + 0.8 * torch.eye(4)
    cotangent = torch.arange(1.0, 5.0) + 3 * solution**2
    expected = -torch.linalg.solve(gram, cotangent) @ solution
    torch.testing.assert_close(strength.grad, expected, **CLOSE)


# ── what is given and what comes back ────────────────────────────────────────────────────────


def test_a_param_that_the_objective_does_not_determine_is_a_constant() -> None:
    """One is not used at all, of one the gradient is the same everywhere."""
    strength = torch.tensor(2.0, requires_grad=True)

    def objective(params: list[Tensor]) -> Tensor:
        return (strength * params[0].square() / 2 - 6 * params[0]).sum() + params[2].sum()

    given = [torch.full((2,), 3.0), torch.randn(3), torch.randn(())]
    found = implicit_solution(objective, given)

    torch.testing.assert_close(found, given)
    assert [tensor.requires_grad for tensor in found] == [True, False, False]
    found[0].sum().backward()
    torch.testing.assert_close(strength.grad, torch.tensor(-3.0))


def test_no_gradient_is_asked_for() -> None:
    def objective(params: list[Tensor]) -> Tensor:
        raise AssertionError(params)

    given = [leaf(3)]
    with torch.no_grad():
        found = implicit_solution(objective, given)

    torch.testing.assert_close(found, [given[0].detach()])
    assert not found[0].requires_grad


def test_the_result_shares_no_memory_with_what_was_given() -> None:
    ridge = Ridge()
    given = ridge.closed_form().detach()
    expected = torch.autograd.grad(outer(ridge.closed_form()), ridge.leaves, retain_graph=True)

    (solution,) = implicit_solution(ridge.objective, [given], solver=exactly)
    found = solution.clone()
    with torch.no_grad():  # as an optimiser does that starts on the next task
        given.zero_()
        solution.zero_()

    torch.testing.assert_close(torch.autograd.grad(outer(found), ridge.leaves), expected, **CLOSE)


def test_objectives_that_make_no_sense() -> None:
    given = [torch.randn(3, 2), torch.randn(4)]

    with pytest.raises(ArgumentError, match=r"got shape \(3,\) with params of shapes \[\(3, 2\)"):
        implicit_solution(lambda params: params[0].sum(-1), given)
    with pytest.raises(ArgumentError, match=r"one loss, .*got shape \(3, 2\)"):
        implicit_solution(lambda params: params[0].square(), given[:1])
    with pytest.raises(ArgumentError, match=r"what it returned does not\. Compute"):
        implicit_solution(lambda params: params[0].detach().sum(), given)


def test_an_objective_of_the_solution_instead_of_its_params_is_an_error() -> None:
    solution = [torch.randn(3, requires_grad=True)]

    with pytest.raises(ArgumentError, match=r"not from the tensors that were solved for"):
        implicit_solution(lambda _: solution[0].square().sum(), solution)


# ── what is said in the backward pass ────────────────────────────────────────────────────────


def test_a_saddle_is_no_solution() -> None:
    signs = torch.tensor([1.0, -0.25], requires_grad=True)
    (solution,) = implicit_solution(lambda params: (signs * params[0] ** 2).sum(), [torch.randn(2)])

    with pytest.raises(LinearSolveError, match=r"a curvature of -0\.5\d* here, so the point is"):
        solution.backward(torch.tensor([1e-3, 1.0]))


def test_a_solver_that_is_not_as_exact_as_asked() -> None:
    ridge = Ridge()
    few = partial(conjugate_gradient, steps=1)
    (solution,) = implicit_solution(ridge.objective, [ridge.closed_form()], solver=few)

    with pytest.warns(NotConvergedWarning, match=r"tolerance=1e-06 here after 1 steps"):
        outer(solution).backward()


@pytest.mark.parametrize("outer_loss", [outer, torch.sum], ids=["curved", "linear"])
@pytest.mark.parametrize("index", range(4), ids=["data", "mixing", "y", "log_strength"])
def test_a_third_derivative_is_refused_and_never_silently_wrong(
    outer_loss: Callable[[Tensor], Tensor], index: int
) -> None:
    ridge = Ridge()
    (solution,) = implicit_solution(ridge.objective, [ridge.closed_form()], solver=exactly)
    expected = torch.autograd.grad(outer_loss(ridge.closed_form()), ridge.leaves, retain_graph=True)

    gradients = torch.autograd.grad(outer_loss(solution), ridge.leaves, create_graph=True)

    torch.testing.assert_close(gradients, expected, **CLOSE)
    with pytest.raises(ThirdOrderError, match=r"Use its first derivative only, or differentiate"):
        torch.autograd.grad(sum(g.square().sum() for g in gradients), ridge.leaves[index])


# ── memory ───────────────────────────────────────────────────────────────────────────────────


def number_of_tensors() -> int:
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("goes_back", [True, False])
def test_T46_a_loop_of_solutions_keeps_nothing(goes_back: bool) -> None:
    """Without the help of the garbage collector, whether or not there is a backward pass."""
    problem = Problem()
    solved = problem.solved(keeps_graph=False)

    def once() -> weakref.ref[Tensor]:
        solution = implicit_solution(problem.objective, solved)
        loss = problem.outer(solution)
        if goes_back:
            loss.backward()
        return weakref.ref(solution[0])

    once()
    gc.collect()
    gc.disable()
    try:
        before = number_of_tensors()
        alive = [once() for _ in range(50)]
        after = number_of_tensors()
    finally:
        gc.enable()

    assert [reference() for reference in alive] == [None] * 50
    assert after == before

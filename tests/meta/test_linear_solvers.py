"""Linear systems known by their products: one, or one a task in one run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from metann.errors import ArgumentError, LinearSolveError, NotConvergedWarning
from metann.meta.linear_solvers import (
    LinearSolver,
    conjugate_gradient,
    direct_solve,
    neumann_series,
)

SHAPES = [(2, 3), (), (4,)]
UNKNOWNS = 11
Product = Callable[[list[Tensor]], list[Tensor]]


def exact(least: float, greatest: float) -> dict[str, LinearSolver]:
    """The solvers, told to go on to the last digits on matrices with these eigenvalues."""
    rate = 2 / (least + greatest)
    return {
        "conjugate_gradient": partial(conjugate_gradient, tolerance=1e-13),
        "neumann_series": partial(neumann_series, rate=rate, steps=1000, tolerance=1e-13),
        "direct_solve": direct_solve,
    }


SOLVERS = exact(1.0, 9.0)


def matrix_of(values: Tensor) -> Tensor:
    """A symmetric matrix with these eigenvalues, along random directions."""
    directions = torch.linalg.qr(torch.randn(len(values), len(values)))[0]
    return directions @ torch.diag(values) @ directions.T


def definite() -> Tensor:
    return matrix_of(torch.linspace(1.0, 9.0, UNKNOWNS))


def flat(tensors: Sequence[Tensor], rows: int) -> Tensor:
    return torch.cat([tensor.reshape(rows, -1) for tensor in tensors], dim=1)


def pieces(vectors: Tensor, lead: tuple[int, ...]) -> list[Tensor]:
    parts = torch.split(vectors, [6, 1, 4], dim=-1)
    return [part.reshape((*lead, *shape)) for part, shape in zip(parts, SHAPES, strict=True)]


def product_with(matrices: Tensor, lead: tuple[int, ...] = ()) -> Product:
    """Products with one matrix (1, n, n), or with one a task, of lists of tensors."""

    def product(vectors: list[Tensor]) -> list[Tensor]:
        images = torch.einsum("tij,tj->ti", matrices, flat(vectors, len(matrices)))
        return pieces(images, lead)

    return product


# ── the solution ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_T72_equal_to_the_dense_inverse(solver: LinearSolver) -> None:
    matrix, target = definite(), torch.randn(1, UNKNOWNS)

    solution = solver(product_with(matrix[None]), pieces(target, ()), task_axis=False)

    assert [tensor.shape for tensor in solution] == [torch.Size(shape) for shape in SHAPES]
    expected = target @ torch.linalg.inv(matrix)
    torch.testing.assert_close(flat(solution, 1), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_each_task_has_a_system_of_its_own(solver: LinearSolver) -> None:
    """Their targets are of very different lengths; one is zero, and one is done in one step."""
    matrices = torch.stack([definite(), definite(), definite(), 3 * torch.eye(UNKNOWNS)])
    scales = torch.tensor([1e-9, 0.0, 1e6, 1.0])[:, None]
    target = torch.randn(4, UNKNOWNS) * scales

    solution = solver(product_with(matrices, (4,)), pieces(target, (4,)), task_axis=True)

    expected = torch.linalg.solve(matrices, target)
    scales = scales.where(scales != 0, 1.0)
    torch.testing.assert_close(
        flat(solution, 4) / scales, expected / scales, rtol=1e-10, atol=1e-10
    )


def test_a_task_does_not_see_its_neighbours() -> None:
    matrices, target = torch.stack([definite(), definite()]), torch.randn(2, UNKNOWNS)
    some = partial(conjugate_gradient, steps=5, tolerance=None)

    both = some(product_with(matrices, (2,)), pieces(target, (2,)), task_axis=True)
    alone = some(product_with(matrices[1:]), pieces(target[1], ()), task_axis=False)

    torch.testing.assert_close(flat(both, 2)[1:], flat(alone, 1), rtol=1e-13, atol=1e-13)


def test_conjugate_gradient_is_exact_after_as_many_steps_as_there_are_eigenvalues() -> None:
    matrix = matrix_of(torch.tensor([1.0, 4.0, 9.0]).repeat(4)[:UNKNOWNS])
    target = torch.randn(1, UNKNOWNS)
    solve = partial(conjugate_gradient, product_with(matrix[None]), pieces(target, ()))
    expected = target @ torch.linalg.inv(matrix)

    torch.testing.assert_close(flat(solve(steps=3, tolerance=None), 1), expected)
    assert not torch.allclose(flat(solve(steps=2, tolerance=None), 1), expected, rtol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_steps_after_the_last_digit_change_nothing(seed: int) -> None:
    """Not where the matrix is singular, and what is left of a solvable system is noise."""
    torch.manual_seed(seed)
    matrix = matrix_of(torch.linspace(1.0, 9.0, UNKNOWNS).index_fill(0, torch.arange(3), 0.0))
    target = torch.randn(1, UNKNOWNS) @ matrix
    solve = partial(conjugate_gradient, product_with(matrix[None]), pieces(target, ()))

    found = flat(solve(steps=60, tolerance=None), 1)

    expected = target @ torch.linalg.pinv(matrix, hermitian=True)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_neumann_series_of_some_terms() -> None:
    matrix, target = definite(), torch.randn(1, UNKNOWNS)
    some = partial(neumann_series, rate=0.1, steps=3, tolerance=None)

    found = some(product_with(matrix[None]), pieces(target, ()))

    powers = [torch.linalg.matrix_power(torch.eye(UNKNOWNS) - 0.1 * matrix, k) for k in range(4)]
    expected = 0.1 * target @ torch.stack(powers).sum(dim=0)
    torch.testing.assert_close(flat(found, 1), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", [conjugate_gradient, direct_solve])
def test_damping_is_added_to_the_diagonal(
    solver: Callable[..., list[Tensor]],
) -> None:
    matrix, target = definite() - 2 * torch.eye(UNKNOWNS), torch.randn(1, UNKNOWNS)

    found = solver(product_with(matrix[None]), pieces(target, ()), damping=3.0)

    expected = target @ torch.linalg.inv(matrix + 3 * torch.eye(UNKNOWNS))
    torch.testing.assert_close(flat(found, 1), expected, rtol=1e-5, atol=1e-5)


def test_low_precision_and_complex_tensors_keep_their_dtype() -> None:
    target = [torch.randn(3, dtype=torch.complex128), torch.randn(2, dtype=torch.bfloat16)]

    found = conjugate_gradient(lambda vectors: [2 * vector for vector in vectors], target)

    assert [tensor.dtype for tensor in found] == [torch.complex128, torch.bfloat16]
    torch.testing.assert_close(found, [tensor / 2 for tensor in target])


# ── how many products it takes ───────────────────────────────────────────────────────────────


class Counting:
    """Products with a matrix, and how many there were."""

    def __init__(self, matrix: Tensor) -> None:
        self.calls, self.matrix = 0, matrix

    def __call__(self, vectors: list[Tensor]) -> list[Tensor]:
        self.calls += 1
        return [self.matrix @ vectors[0]]


@pytest.mark.parametrize("solver", [conjugate_gradient, partial(neumann_series, rate=0.2)])
def test_it_stops_when_the_residual_is_short_enough(
    solver: Callable[..., list[Tensor]],
) -> None:
    coarse, fine, target = Counting(definite()), Counting(definite()), [torch.randn(UNKNOWNS)]

    found = solver(coarse, target, tolerance=1e-2)
    solver(fine, target, tolerance=1e-8)

    residual = coarse.matrix @ found[0] - target[0]
    assert residual.norm() <= 1e-2 * target[0].norm()
    assert 1 < coarse.calls < fine.calls


@pytest.mark.parametrize("solver", [conjugate_gradient, partial(neumann_series, rate=0.2)])
def test_a_number_of_steps_without_a_tolerance_is_not_complained_about(
    solver: Callable[..., list[Tensor]],
) -> None:
    product = Counting(definite())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solver(product, [torch.randn(UNKNOWNS)], steps=4, tolerance=None)

    assert product.calls == 4


def test_nothing_is_computed_for_a_target_of_zeros() -> None:
    product = Counting(definite())

    found = conjugate_gradient(product, [torch.zeros(UNKNOWNS)])

    assert product.calls == 0
    torch.testing.assert_close(found, [torch.zeros(UNKNOWNS)])


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("solver", [conjugate_gradient, partial(neumann_series, rate=0.2)])
def test_too_few_steps_for_the_tolerance(solver: Callable[..., list[Tensor]]) -> None:
    matrices = torch.stack([definite(), torch.eye(UNKNOWNS) / 0.2])
    target = pieces(torch.randn(2, UNKNOWNS), (2,))

    said = r"not reached tolerance=1e-06 for 1 of 2 tasks after 2 steps: .* of the target is left"
    with pytest.warns(NotConvergedWarning, match=said):
        solver(product_with(matrices, (2,)), target, steps=2, task_axis=True)


def test_a_matrix_that_is_not_positive_definite() -> None:
    values = torch.linspace(-0.5, 9.0, UNKNOWNS)
    matrices = torch.stack([matrix_of(values), definite()])
    target = pieces(torch.randn(2, UNKNOWNS), (2,))

    with pytest.raises(LinearSolveError, match=r"a curvature of -0\.\d+ for 1 of 2 tasks, so"):
        conjugate_gradient(product_with(matrices, (2,)), target, task_axis=True)


def test_a_singular_matrix() -> None:
    product, target = Counting(torch.zeros(4, 4)), [torch.randn(4)]

    with pytest.raises(LinearSolveError, match=r"curvature of 0 here, .* by more than 0"):
        conjugate_gradient(product, target)
    with pytest.raises(LinearSolveError, match=r"singular here: .* Add a term to it"):
        direct_solve(product, target)


def test_stopping_where_it_is_not_positive_definite() -> None:
    """One task goes on to its solution, the other keeps the step before the bad direction."""
    matrices = torch.stack([torch.diag(torch.tensor([1.0, 4.0, -1.0])), torch.eye(3) * 2])
    # The first direction of the first task has a positive curvature, 5 / 13, its second has not.
    target = torch.tensor([[3.0, 0.0, 2.0], [1.0, 2.0, 3.0]])

    found = conjugate_gradient(
        lambda vectors: [torch.einsum("tij,tj->ti", matrices, vectors[0])],
        [target],
        indefinite="stop",
        task_axis=True,
    )

    first = target[0] * (13 / 5)  # b (b.b) / (b.A b), one step of steepest descent
    torch.testing.assert_close(found, [torch.stack([first, target[1] / 2])])


def test_direct_solve_takes_any_invertible_matrix() -> None:
    matrix = matrix_of(torch.linspace(-3.0, 4.1, UNKNOWNS))
    target = torch.randn(1, UNKNOWNS)

    found = direct_solve(product_with(matrix[None]), pieces(target, ()))

    torch.testing.assert_close(flat(found, 1), target @ torch.linalg.inv(matrix))


def test_a_series_that_diverges() -> None:
    matrix, target = definite(), pieces(torch.randn(UNKNOWNS), ())

    with pytest.raises(LinearSolveError, match=r"diverges here: with rate=0\.3 its last term is"):
        neumann_series(product_with(matrix[None]), target, rate=0.3, steps=20, tolerance=None)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_what_is_not_finite(solver: LinearSolver, bad: float) -> None:
    target = [torch.randn(UNKNOWNS)]
    target[0][1] = bad
    with pytest.raises(LinearSolveError, match=r"gradient that an implicit solution was given"):
        solver(Counting(definite()), target, task_axis=False)

    matrix = definite()
    matrix[1, 2] = bad
    with pytest.raises(LinearSolveError, match=r"a product with the Hessian .* is not finite"):
        solver(Counting(matrix), [torch.rand(UNKNOWNS)], task_axis=False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"steps": 0}, r"got steps=0"), ({"tolerance": 0.0}, r"tolerance=0\.0")],
)
def test_settings_that_make_no_sense(settings: dict[str, float], said: str) -> None:
    for solver in (conjugate_gradient, partial(neumann_series, rate=0.1)):
        run: Callable[..., list[Tensor]] = solver
        with pytest.raises(ArgumentError, match=said):
            run(Counting(definite()), [torch.randn(UNKNOWNS)], **settings)

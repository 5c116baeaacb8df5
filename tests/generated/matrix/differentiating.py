"""Derivatives: finite differences, forward mode, and forward over reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from measuring import assert_same, gradients, scalar
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from matrix.problem import Problem, Use, directions
from matrix.sides import Side

# The kernel of Hardsigmoid's gradient computes with a sixth in single precision.
EXACT = 1e-7
# Central differences with this step, of functions with values around 1.
STEP, NEAR = 1e-6, 1e-5


def first_order(use: Use, side: type[Side]) -> None:
    """The gradient by weights and inputs agrees with finite differences."""
    problem = Problem(use, side)
    if use.holds_something_constant:
        assert_same(_gradient(*_by(problem)), _gradient(*_plainly(problem)), EXACT)
    else:
        assert gradcheck(_function(problem), problem.fresh(), fast_mode=True)


def second_order(use: Use, side: type[Side]) -> None:
    """The derivative of the gradient agrees with finite differences."""
    problem = Problem(use, side)
    if use.holds_something_constant:
        both = (_reverse_over_reverse(*made(problem)) for made in (_by, _plainly))
        assert_same(*both, EXACT)
    else:
        # That gradients may be undefined is no matter of the layer; leaving it out halves the time.
        options = {"fast_mode": True, "check_undefined_grad": False}
        assert gradgradcheck(_function(problem), problem.fresh(), **options)


def forward_mode(use: Use, side: type[Side]) -> None:
    """The change of the output along a direction is what reverse mode says it is.

    Or what finite differences say, where torch's reverse mode holds something constant.
    """
    problem = Problem(use, side)
    along = directions(problem.leaves)
    found = torch.func.jvp(problem.value, tuple(problem.leaves), tuple(along))
    value, leaves = _by(problem)
    assert_same(found[0], value.detach(), EXACT)
    if not (use.holds_something_constant and _is_the_difference(problem, found[1])):
        assert_same(found[1], _dot(_gradient(value, leaves), along), EXACT)


def forward_over_reverse(use: Use, side: type[Side]) -> None:
    """The change of the gradient along a direction is that of finite differences.

    Or what reverse over reverse says, where torch's reverse mode holds something constant.
    """
    problem = Problem(use, side)
    along = directions(problem.leaves)
    slopes = torch.func.grad(problem.value, argnums=tuple(range(len(along))))
    _, found = torch.func.jvp(slopes, tuple(problem.leaves), tuple(along))
    change = [tensor.to_dense() for tensor in found]
    difference = _difference(slopes, problem.leaves, along)
    if not (
        use.holds_something_constant and _is_near(change, _reverse_over_reverse(*_by(problem)))
    ):
        assert_same(*_in_proportion(change, difference), NEAR)


def _function(problem: Problem) -> Callable[..., tuple[Tensor, ...]]:
    """For torch's checks, which know no sparse gradients."""
    return lambda *leaves: tuple(problem.outputs(*map(_DenseGradient.apply, leaves)))


class _DenseGradient(torch.autograd.Function):
    """The same tensor; a sparse gradient becomes a dense one."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return slope.to_dense()


def _by(problem: Problem) -> tuple[Tensor, list[Tensor]]:
    """A number that the problem's side computes, and the leaves to differentiate it by."""
    leaves = problem.fresh()
    return problem.value(*leaves), leaves


def _plainly(problem: Problem) -> tuple[Tensor, list[Tensor]]:
    """The same of a plain module."""
    outputs, leaves = problem.plainly()
    return scalar(outputs), leaves


def _gradient(value: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    return [slope.to_dense() for slope in gradients(value, leaves)]


def _reverse_over_reverse(value: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    """The derivative along a direction of the gradient, as the gradient of a product."""
    slopes = gradients(value, leaves, create_graph=True)
    return _gradient(_dot(slopes, directions(leaves)), leaves)


def _is_the_difference(problem: Problem, change: Tensor) -> bool:
    along = directions(problem.leaves)
    difference = _difference(lambda *at: [problem.value(*at)], problem.leaves, along)
    return _is_near([change], difference)


def _difference(
    function: Callable[..., Sequence[Tensor]], at: Sequence[Tensor], along: Sequence[Tensor]
) -> list[Tensor]:
    """The change of `function` along a direction, by central differences."""
    after, before = (
        function(*(a + step * d for a, d in zip(at, along, strict=True))) for step in (STEP, -STEP)
    )
    pairs = zip(after, before, strict=True)
    return [(a.to_dense() - b.to_dense()) / (2 * STEP) for a, b in pairs]


def _is_near(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    pairs = zip(*_in_proportion(found, expected), strict=True)
    return all(torch.allclose(a, b, rtol=NEAR, atol=NEAR) for a, b in pairs)


def _in_proportion(*lists: Sequence[Tensor]) -> list[list[Tensor]]:
    """Relative to the largest number: these are sums of large terms that nearly cancel."""
    largest = max(1.0, *(float(tensor.abs().max()) for tensor in lists[-1]))
    return [[tensor / largest for tensor in tensors] for tensors in lists]


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    pairs = zip(left, right, strict=True)
    return torch.stack([(a.to_dense() * b).sum() for a, b in pairs]).sum()

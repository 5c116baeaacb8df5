"""`torch.compile` and autocast: the same computation, by other kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from measuring import assert_same, gradients, run, scalar
from torch import Tensor, nn

from matrix.problem import Problem, Use, real_tensors
from matrix.sides import Side

EXACT = 1e-9
# The same operations in the same precision; a sum may be taken in another order.
SAME = 1e-2
# bfloat16 has 8 bits: one rounding changes a number by up to 0.4 %.
ROUNDED = 0.05


def compiled(use: Use, side: type[Side]) -> None:
    """One graph, `fullgraph=True`, with the outputs and gradients of the model it is made of."""
    torch._dynamo.reset()
    problem = Problem(use, side)
    found, expected = (
        _outputs_and_gradients(make, *problem.side.model(problem.weights), problem)
        for make in (_compiled, _as_it_is)
    )
    assert_same(found, expected, EXACT)


def _compiled(model: nn.Module) -> Any:
    return torch.compile(model, fullgraph=True, backend="aot_eager")


def _as_it_is(model: nn.Module) -> nn.Module:
    return model


def _outputs_and_gradients(
    make: Callable[[nn.Module], Any], model: nn.Module, of: Sequence[Tensor], problem: Problem
) -> list[list[Tensor]]:
    real = problem.fresh()[problem.count :]
    outputs = real_tensors(run(make(model), problem.given(real)))
    return [outputs, gradients(scalar(outputs), [*of, *real])]


def under_autocast(use: Use, side: type[Side]) -> None:
    """In bfloat16: outputs and gradients of a plain module; the second order is a number.

    Where torch's gradient is wrong, the exact ones take their place.
    """
    with _single_precision():
        problem = Problem(use, side)
        leaves = problem.fresh()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = problem.outputs(*leaves)
            expected, parameters = problem.plainly()
            values = scalar(found), scalar(expected)
        assert [tensor.dtype for tensor in found] == [tensor.dtype for tensor in expected]
        first = gradients(values[0], leaves, create_graph=True)
        _assert_near(found, expected, SAME)
        if use.sample.wrong_gradient:
            _assert_near(first, gradients(problem.value(*leaves), leaves), ROUNDED)
        else:
            slopes = gradients(values[1], parameters, create_graph=True)
            _assert_near(first, slopes, SAME)
        norm = torch.stack([slope.to_dense().square().sum() for slope in first]).sum()
        assert all(slope.to_dense().isfinite().all() for slope in gradients(norm, leaves))


def _assert_near(found: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        dense = [tensor.detach().to_dense().float() for tensor in (one, other)]
        assert_same(*(tensor / (1.0 + dense[1].abs().max()) for tensor in dense), tolerance)


@contextmanager
def _single_precision() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)

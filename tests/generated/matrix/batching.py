"""`torch.vmap` over sets of parameters; over inputs for a layer that has no parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from measuring import assert_same, gradients, scalar
from torch import Tensor
from torch.autograd import gradcheck

from matrix.problem import Problem, Use, directions
from matrix.sides import Side

SETS, DRAWS = 3, 300
# The kernel of Hardsigmoid's gradient computes with a sixth in single precision.
EXACT = 1e-7


def over_parameters(use: Use, side: type[Side]) -> None:
    """Outputs, and the gradients of all sets, are those of a loop.

    Each call draws from the same seed: with `randomness="same"` most random layers are compared
    number by number too. Where their kernel draws in another order, mean and spread of many draws
    are compared, and gradients with finite differences. With "different", equal sets must not
    have equal outputs.
    """
    problem = Problem(use, side)
    sets = _sets(problem)
    if not _is_random(problem):
        _assert_like_a_loop(problem, sets)
        return
    if not _draws_like_a_loop(problem, sets):
        _assert_distributed_like_a_loop(problem, sets)
        _assert_gradients_are_differences(problem, sets)
    _assert_draws_differ(problem)


def _assert_like_a_loop(problem: Problem, sets: list[list[Tensor]]) -> None:
    stacked = [tensor.requires_grad_() for tensor in _stacked(problem, sets)]
    outputs = _vmapped(problem, "same")(stacked)
    expected = _looped(problem, sets)
    assert_same(list(outputs), expected, EXACT)
    found = [slope.to_dense() for slope in gradients(scalar(outputs), stacked)]
    assert_same(found, _gradients_of_a_loop(problem, scalar(expected), sets), EXACT)


def _batched(problem: Problem) -> list[bool]:
    """Which leaves have a value for each set."""
    weights, inputs = problem.count, len(problem.leaves) - problem.count
    return [True] * weights + [weights == 0] * inputs


def _sets(problem: Problem, spread: float = 0.1) -> list[list[Tensor]]:
    """The leaves in several versions: the weights, or the inputs, are moved a little."""
    sets: list[list[Tensor]] = []
    for seed in range(SETS):
        moves = [spread * move.clamp(-1, 1) for move in directions(problem.leaves, seed)]
        triples = zip(problem.leaves, moves, _batched(problem), strict=True)
        moved = [leaf + move if batched else leaf for leaf, move, batched in triples]
        sets.append([leaf.detach().clone().requires_grad_() for leaf in moved])
    return sets


def _stacked(problem: Problem, sets: list[list[Tensor]]) -> list[Tensor]:
    pairs = zip(_batched(problem), zip(*sets, strict=True), strict=True)
    return [torch.stack(of).detach() if batched else of[0].detach() for batched, of in pairs]


def _gradients_of_a_loop(problem: Problem, value: Tensor, sets: list[list[Tensor]]) -> list[Tensor]:
    """Those of the sets; what is not batched gets the sum of all."""
    leaves = [leaf for of_set in sets for leaf in of_set]
    # As a graph: at first order torch's kernel for embedding bags divides by wrong counts.
    found = [slope.to_dense() for slope in gradients(value, leaves, create_graph=True)]
    count = len(problem.leaves)
    pairs = zip(_batched(problem), (found[i::count] for i in range(count)), strict=True)
    stacked = [(batched, torch.stack(slopes)) for batched, slopes in pairs]
    return [slopes if batched else slopes.sum(0) for batched, slopes in stacked]


def _vmapped(
    problem: Problem, randomness: str, seed: int = 3
) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    """All sets in one call; the buffers that a side is given have a value for each set, too."""
    dims = [0 if batched else None for batched in _batched(problem)]
    buffers = [torch.stack([buffer] * SETS) for buffer in problem.side.buffers()]

    def call(leaves: list[Tensor], buffers: list[Tensor]) -> list[Tensor]:
        return problem.outputs(*leaves, buffers=buffers, seed=seed)

    function = torch.vmap(call, in_dims=(dims, [0] * len(buffers)), randomness=randomness)
    return lambda leaves: function(list(leaves), buffers)


def _looped(problem: Problem, sets: list[list[Tensor]], seed: int = 3) -> list[Tensor]:
    """The outputs of one set after the other."""
    outputs = (problem.outputs(*leaves, seed=seed) for leaves in sets)
    return [torch.stack(of) for of in zip(*outputs, strict=True)]


def _is_random(problem: Problem) -> bool:
    """Whether another seed gives another result."""
    with torch.no_grad():
        once, again = (problem.outputs(*problem.leaves, seed=seed) for seed in (3, 4))
    return any(not torch.equal(a, b) for a, b in zip(once, again, strict=True))


def _draws_like_a_loop(problem: Problem, sets: list[list[Tensor]]) -> bool:
    try:
        _assert_like_a_loop(problem, sets)
    except AssertionError:
        return False
    return True


def _assert_distributed_like_a_loop(problem: Problem, sets: list[list[Tensor]]) -> None:
    """Mean and mean square of many draws differ by less than six of their standard errors."""
    stacked = _stacked(problem, sets)
    with torch.no_grad():
        many = [
            torch.cat([o.flatten() for o in outputs])
            for seed in range(DRAWS)
            for outputs in (_vmapped(problem, "same", seed)(stacked), _looped(problem, sets, seed))
        ]
    both = torch.stack(many[::2]), torch.stack(many[1::2])
    for power in (1, 2):
        drawn, expected = (draws**power for draws in both)
        error = ((drawn.var(0) + expected.var(0)) / DRAWS).sqrt()
        assert ((drawn.mean(0) - expected.mean(0)).abs() <= 6 * error + EXACT).all()


def _assert_gradients_are_differences(problem: Problem, sets: list[list[Tensor]]) -> None:
    stacked = [tensor.requires_grad_() for tensor in _stacked(problem, sets)]
    function = _vmapped(problem, "same")
    assert gradcheck(lambda *leaves: tuple(function(leaves)), stacked, fast_mode=True)


def _assert_draws_differ(problem: Problem) -> None:
    with torch.no_grad():
        equal = _stacked(problem, _sets(problem, spread=0.0))
        outputs = _vmapped(problem, "different")(equal)
    assert all(output.isfinite().all() for output in outputs)
    assert any(not torch.equal(output, output[:1].expand_as(output)) for output in outputs)

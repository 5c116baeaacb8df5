"""A sample for several tasks: weights and real inputs of each, in one call or in a call a task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from measuring import constructed, gradients, inputs_of, mapped, run, tensors_in
from samples.sample import Given, Sample
from torch import Tensor

from metann import Learner

SCALES = (0.9, 1.0, 1.05)
Outputs = list[Tensor]


class ForTasks:
    """One use of a layer, for several tasks at once and for one after the other.

    Attributes:
        is_random: whether another seed gives another result.
    """

    def __init__(self, sample: Sample, training: bool) -> None:
        plain = constructed(sample, sample.layer)
        self._training = training
        self._learner = Learner(plain)
        self._given: list[Any] = []
        inputs = inputs_of(sample)
        for scale in SCALES:
            own = [_leaf(parameter * scale) for parameter in plain.parameters()]
            moved = partial(_moved, scale=scale)
            self._given.append([own, *mapped(moved, [inputs.args, inputs.kwargs])])
        with torch.no_grad():
            once, again = (self._alone(self._given[0], seed) for seed in (3, 4))
        self.is_random = any(not torch.equal(a, b) for a, b in zip(once, again, strict=True))

    def at_once(self) -> tuple[Outputs, list[Tensor]]:
        """The real outputs of `Learner.batched`, and where to differentiate, with task axes."""
        stacked = _stacked(self._given)
        return self._called(self._learner.batched, stacked, seed=3), _leaves(stacked)

    def in_turn(self) -> list[tuple[Outputs, list[Tensor]]]:
        """Those of one functional call, for each task."""
        return [(self._alone(given), _leaves(given)) for given in self._given]

    def _alone(self, given: Any, seed: int = 3) -> Outputs:
        return self._called(self._learner.functional, given, seed)

    def _called(self, method: Callable[..., Any], given: Any, seed: int) -> Outputs:
        weights, args, kwargs = given
        output = run(partial(method, weights, self._training), Given(args, kwargs), seed=seed)
        return [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]


def derivatives(found: tuple[Outputs, list[Tensor]], second: bool) -> list[Tensor]:
    """Gradients of a number that depends on all outputs, and if asked the second ones."""
    outputs, leaves = found
    # As a graph: at first order torch's kernel for embedding bags divides by wrong counts.
    slopes = [slope.to_dense() for slope in gradients(_sum(outputs), leaves, create_graph=True)]
    if not second or not slopes:
        return slopes
    norm = torch.stack([slope.square().sum() for slope in slopes]).sum()
    return [*slopes, *(slope.to_dense() for slope in gradients(norm, leaves))]


def _sum(outputs: Outputs) -> Tensor:
    return torch.stack([(output + output.square() / 2).sum() for output in outputs]).sum()


def _moved(tensor: Tensor, scale: float) -> Tensor:
    """What has a gradient has another value for each task."""
    return _leaf(tensor * scale) if tensor.requires_grad else tensor


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_()


def _leaves(given: Any) -> list[Tensor]:
    return [tensor for tensor in tensors_in(given) if tensor.requires_grad]


def _stacked(each: list[Any]) -> Any:
    """Every tensor with a leading task axis."""
    columns = zip(*map(tensors_in, each), strict=True)
    stacks = [torch.stack(column).detach() for column in columns]
    for stack, first in zip(stacks, tensors_in(each[0]), strict=True):
        stack.requires_grad_(first.requires_grad)
    found = iter(stacks)
    return mapped(lambda _: next(found), each[0])

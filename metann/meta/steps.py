"""One step of an inner loop: the gradient of a loss, and an optimiser's update with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metann.errors import ArgumentError
from metann.functional.transforms import is_compiling
from metann.layers.images import no_second_derivative
from metann.meta.fast import Fast
from metann.optim import Optimizer

Buffers = dict[str, Tensor]
# The loss () or (T,) under fast weights and buffers, and the buffers that it has written.
LossFunction = Callable[[list[Tensor], Buffers], tuple[Tensor, Buffers]]


def any_will_do(losses: Tensor) -> None:
    """Losses on which no fast weight has a part may be meant so."""


@dataclass(frozen=True)
class InnerStep:
    """`weights - lr * gradient`, or whatever the optimiser makes of it.

    With a task axis the gradient is that of the sum of the losses, which is for each task the
    gradient of its own loss.

    Attributes:
        loss: of the fast weights.
        optimizer: takes the step.
        keeps_graph: whether the gradient is itself a function of the weights (second order), or
            is taken for a constant (first order).
        reads: the tensors, as far as they are known, that `loss` reads without being given them.
        copies: those that it copies, and others may write: statistics of the model.
        require_meant: called with losses on which no fast weight has a part; raises if that
            cannot be meant.
    """

    loss: LossFunction
    optimizer: Optimizer
    keeps_graph: bool
    reads: Callable[[], Iterable[Tensor]] = tuple
    copies: Callable[[], Iterable[Tensor]] = tuple
    require_meant: Callable[[Tensor], None] = any_will_do

    def __call__(self, fast: Fast) -> tuple[Fast, Tensor]:
        """The weights after the step, and the losses before it, without a graph."""
        losses, gradients, buffers = self._gradients(fast)
        weights, state = self.optimizer.step(fast.weights, gradients, fast.state)
        return Fast(weights, state, buffers), losses.detach()

    def _gradients(self, fast: Fast) -> tuple[Tensor, list[Tensor | None], Buffers]:
        if is_compiling():
            return self._by_transform(fast)
        with nullcontext() if self.keeps_graph else no_second_derivative():
            losses, buffers = self.loss(fast.weights, fast.buffers)
        require_dependent(losses)
        gradients = torch.autograd.grad(
            losses.sum(), fast.weights, create_graph=self.keeps_graph, allow_unused=True
        )
        if are_none(gradients):
            self.require_meant(losses)
        return losses, [*gradients], buffers

    def _by_transform(self, fast: Fast) -> tuple[Tensor, list[Tensor | None], Buffers]:
        """The same by `torch.func.grad`, which torch.compile can follow."""

        def summed(weights: list[Tensor]) -> tuple[Tensor, tuple[Tensor, Buffers]]:
            losses, buffers = self.loss(weights, fast.buffers)
            return losses.sum(), (losses, buffers)

        transform: Any = torch.func.grad(summed, has_aux=True)
        gradients, (losses, buffers) = transform(fast.weights)
        if not self.keeps_graph:
            gradients = [gradient.detach() for gradient in gradients]
        return losses, gradients, buffers


def require_dependent(losses: Tensor) -> None:
    """Raise unless a loss depends on something that requires a gradient.

    Raises:
        ArgumentError: it does not.
    """
    if torch.is_inference_mode_enabled():
        raise ArgumentError(
            "the inner loop needs the gradient of the loss, which torch.inference_mode() forbids "
            "for good. Use torch.no_grad(): then nothing keeps a graph, either."
        )
    if not losses.requires_grad:
        raise ArgumentError(
            "the inner loop needs the gradient of the loss, but what evaluator(model, data) "
            "returned depends on no weight that adapts. Compute it from the output of the model "
            "that is given to the evaluator, without detach(), item() or torch.no_grad()."
        )


def are_none(gradients: Sequence[Tensor | None]) -> bool:
    """Whether a loss has no gradient by anything that was asked for."""
    return all(gradient is None for gradient in gradients)


def require_given_model(losses: Tensor, slow: Iterable[Tensor], others: Iterable[Tensor]) -> None:
    """Raise where losses without a part of a fast weight show that the evaluator has a mistake.

    They need not: a task may lead through other weights than those that adapt. But an evaluator
    that reads the slow weights themselves has called the net, and not the model that it was given.

    Args:
        losses: () or (T,), with their graph; they depend on no fast weight.
        slow: the parameters that the fast weights are made of.
        others: all else that the evaluator is given: other weights, data, buffers.

    Raises:
        ArgumentError: the losses depend on slow weights, or on nothing that was given.
    """
    if _depends(losses, slow):
        raise ArgumentError(
            "what evaluator(model, data) returned depends on no weight that adapts, but on the "
            "parameters of the net itself: an inner step would change nothing. Call the model "
            "that the evaluator is given, not the net that it was made from."
        )
    if not _depends(losses, others):
        raise ArgumentError(
            "what evaluator(model, data) returned depends on no weight that adapts, and on nothing "
            "else that the evaluator was given: an inner step would change nothing. Compute it "
            "from the output of that model, without detach(), and not from a copy of the net."
        )


def _depends(losses: Tensor, tensors: Iterable[Tensor]) -> bool:
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    if not wanted:
        return False
    found = torch.autograd.grad(losses.sum(), wanted, allow_unused=True, retain_graph=True)
    return not are_none(found)

"""A model that has adapted to a task."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from metann.meta.fast import Fast
from metann.module import DependentModule


@dataclass(frozen=True)
class Adapted:
    """What an inner loop made of a model.

    Attributes:
        model: an independent module with the adapted weights; its `inner_losses` are `losses`.
        losses: on the support set before each step, (steps,), without a graph.
        fast: the adapted weights, the inner optimiser's state and the buffers, to go on from.
    """

    model: DependentModule
    losses: Tensor
    fast: Fast

    def detached(self) -> Adapted:
        """The same without its history: where a truncated window ends and the next begins.

        `maml.adapt(data, start=adapted.detached())` goes on with the weights and the optimiser's
        state, and its meta-gradient reaches back to here and no further.
        """
        return replace(self, fast=self.fast.detached())

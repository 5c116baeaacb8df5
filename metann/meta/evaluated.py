"""A model and what is asked of it, as one module: its output is a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from metann.learner import Learner
from metann.module import DependentModule
from metann.registry import register

DataT = TypeVar("DataT")
# `(model, data) -> loss`; the model is a counterpart of the user's, and callable as that.
Evaluator = Callable[[Any, DataT], Tensor]
# The names of the model's weights in `Evaluated` begin so.
PREFIX = "model."


class Evaluated(nn.Module):
    """A model that is called by an evaluator: everything it does happens in one functional call."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, evaluator: Evaluator[Any], data: Any) -> Tensor:
        """The loss of the model on `data`, as the evaluator measures it."""
        return evaluator(self.model, data)


class DependentEvaluated(Evaluated, DependentModule):
    """The same, around a model whose weights may be results of a computation."""


def learner_of(model: nn.Module) -> Learner[Evaluated]:
    """A learner whose functional calls are `(weights, training, evaluator, data) -> loss`."""
    register(Evaluated, DependentEvaluated)
    return Learner(Evaluated(model))

"""Adagrad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from metann.optim.arithmetic import minus_quotient, penalised, root
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, Value, require
from metann.optim.state import State, fresh


@dataclass(frozen=True, eq=False)
class Adagrad(ByParameter):
    """Steps that shrink where the gradients so far were large: `torch.optim.Adagrad`.

    Args:
        lr: the learning rate, >= 0.
        lr_decay: the n-th step is divided by 1 + (n - 1) * lr_decay, >= 0.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        initial_accumulator_value: what the sum of the squares starts with, >= 0.
        eps: added to the root of the sum of the squares, >= 0.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    The derivative of a step with regard to a gradient of exactly 0 is finite and right.

    Source: Duchi et al. 2011, Adaptive subgradient methods for online learning and stochastic
        optimization.
    """

    takes_many: ClassVar[bool] = True

    lr: Hyper = 1e-2
    lr_decay: Hyper = 0.0
    weight_decay: Hyper = 0.0
    initial_accumulator_value: Hyper = 0.0
    eps: Hyper = 1e-10
    maximize: bool = False

    def __post_init__(self) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            require(name, getattr(self, name))

    def init(self, params: Sequence[Tensor]) -> State:
        """The state before the first step: all sums at `initial_accumulator_value`."""
        places = (Place(param, index, len(params), 0) for index, param in enumerate(params))
        value = self.initial_accumulator_value
        columns = [{"sum": filled(place.param, place(value))} for place in places]
        return fresh(self.slot_names(), columns)

    def slot_names(self) -> tuple[str, ...]:
        """The sum of the squares of the gradients."""
        return ("sum",)

    def update(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        if self.maximize:
            grad = -grad
        grad = penalised(grad, param, at(self.weight_decay))
        total = torch.addcmul(slots["sum"], grad, grad)
        rate = at(self.lr) / (1 + (number - 1) * at(self.lr_decay))
        return minus_quotient(param, rate, grad, root(total) + at(self.eps)), {"sum": total}


def filled(param: Tensor, value: Value) -> Tensor:
    """A tensor like a parameter, with this value everywhere; twice where numbers are complex."""
    each = 1 + 1j if param.is_complex() else 1.0
    return torch.full_like(param, each) * value

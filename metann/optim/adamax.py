"""Adamax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from metann.optim.arithmetic import averaged, minus_quotient, penalised
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, require, require_betas, require_flags


@dataclass(frozen=True, eq=False)
class Adamax(ByParameter):
    """Adam that divides by a decaying maximum in place of an average: `torch.optim.Adamax`.

    Args:
        lr: the learning rate, >= 0.
        betas: how much is kept of the running average of the gradient and of the maximum of its
            absolute value, each in [0, 1) and a hyper-parameter of its own.
        eps: added to the absolute values, >= 0.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    Source: Kingma and Ba 2015, arXiv 1412.6980, section 7.1.
    """

    takes_many: ClassVar[bool] = True

    lr: Hyper = 2e-3
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: Hyper = 1e-8
    weight_decay: Hyper = 0.0
    maximize: bool = False

    def __post_init__(self) -> None:
        require_flags(maximize=self.maximize)
        require("lr", self.lr)
        require_betas(self.betas)
        require("eps", self.eps)
        require("weight_decay", self.weight_decay)

    def slot_names(self) -> tuple[str, ...]:
        """The running average of the gradient, and the maximum of its absolute value."""
        return ("exp_avg", "exp_inf")

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """Zeros."""
        return {name: torch.zeros_like(param) for name in self.slot_names()}

    def update(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        beta1, beta2 = at(self.betas[0]), at(self.betas[1])
        if self.maximize:
            grad = -grad
        grad = penalised(grad, param, at(self.weight_decay))
        average = averaged(slots["exp_avg"], grad, beta1)
        # The derivative of |g| at 0 is 0, which is right: the average is 0 there.
        largest = torch.maximum(slots["exp_inf"] * beta2, grad.abs() + at(self.eps))
        size = at(self.lr) / (1 - beta1**number)
        changed = {"exp_avg": average, "exp_inf": largest}
        return minus_quotient(param, size, average, largest), changed

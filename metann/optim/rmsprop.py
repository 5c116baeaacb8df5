"""RMSprop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from metann.optim.arithmetic import (
    averaged,
    averaged_square,
    is_zero,
    minus,
    minus_quotient,
    penalised,
    root,
)
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, require


@dataclass(frozen=True, eq=False)
class RMSprop(ByParameter):
    """Gradients divided by the root of their average square: `torch.optim.RMSprop`.

    Args:
        lr: the learning rate, >= 0.
        alpha: how much of the running averages is kept, >= 0.
        eps: added to the root of the average square, >= 0.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        momentum: how much of the last direction is kept, >= 0.
        centered: divide by the standard deviation instead, as Graves 2013, arXiv 1308.0850.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    The derivative of a step with regard to a gradient of exactly 0 is finite and right. Where
    rounding makes a variance less than 0, as with gradients that never change, it is taken for 0;
    torch's parameter becomes NaN there.

    Source: Tieleman and Hinton 2012, Neural networks for machine learning, lecture 6.5.
    """

    takes_many: ClassVar[bool] = True

    lr: Hyper = 1e-2
    alpha: Hyper = 0.99
    eps: Hyper = 1e-8
    weight_decay: Hyper = 0.0
    momentum: Hyper = 0.0
    centered: bool = False
    maximize: bool = False

    def __post_init__(self) -> None:
        for name in ("lr", "alpha", "eps", "weight_decay", "momentum"):
            require(name, getattr(self, name))

    def slot_names(self) -> tuple[str, ...]:
        """The running averages, and the buffer of the momentum."""
        mean = ("grad_avg",) if self.centered else ()
        buffer = () if is_zero(self.momentum) else ("momentum_buffer",)
        return ("square_avg", *buffer, *mean)

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """Zeros."""
        return {name: torch.zeros_like(param) for name in self.slot_names()}

    def update(
        self,
        param: Tensor,
        grad: Tensor,
        slots: dict[str, Tensor],
        number: int,  # noqa: ARG002
        at: Place,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        lr, alpha, momentum = at(self.lr), at(self.alpha), at(self.momentum)
        if self.maximize:
            grad = -grad
        grad = penalised(grad, param, at(self.weight_decay))
        square = averaged_square(slots["square_avg"], grad, alpha)
        changed = {"square_avg": square}
        if self.centered:
            mean = averaged(slots["grad_avg"], grad, alpha)
            changed["grad_avg"] = mean
            square = torch.addcmul(square, mean, mean, value=-1)
        denominator = root(square) + at(self.eps)
        if is_zero(momentum):
            return minus_quotient(param, lr, grad, denominator), changed
        buffer = slots["momentum_buffer"] * momentum + grad / denominator
        return minus(param, lr, buffer), {**changed, "momentum_buffer": buffer}

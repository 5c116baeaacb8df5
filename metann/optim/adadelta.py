"""Adadelta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from metann.optim.arithmetic import averaged_square, minus, penalised
from metann.optim.bounds import require_at_most
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, require


@dataclass(frozen=True, eq=False)
class Adadelta(ByParameter):
    """Steps of about the size of the last ones, without units: `torch.optim.Adadelta`.

    Args:
        lr: the factor of a step, >= 0.
        rho: how much of the running averages of the squares is kept, in [0, 1].
        eps: added to these averages before their roots are taken, >= 0.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    With eps > 0, the derivative of a step with regard to a gradient of exactly 0 is finite.

    Source: Zeiler 2012, arXiv 1212.5701.
    """

    takes_many: ClassVar[bool] = True

    lr: Hyper = 1.0
    rho: Hyper = 0.9
    eps: Hyper = 1e-6
    weight_decay: Hyper = 0.0
    maximize: bool = False

    def __post_init__(self) -> None:
        require("lr", self.lr)
        require_at_most("rho", self.rho, high=1.0)
        require("eps", self.eps)
        require("weight_decay", self.weight_decay)

    def slot_names(self) -> tuple[str, ...]:
        """The running averages of the squares of the gradients, and of the steps."""
        return ("square_avg", "acc_delta")

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
        rho, eps = at(self.rho), at(self.eps)
        if self.maximize:
            grad = -grad
        grad = penalised(grad, param, at(self.weight_decay))
        square = averaged_square(slots["square_avg"], grad, rho)
        delta = (slots["acc_delta"] + eps).sqrt() / (square + eps).sqrt() * grad
        changed = averaged_square(slots["acc_delta"], delta, rho)
        return minus(param, at(self.lr), delta), {"square_avg": square, "acc_delta": changed}

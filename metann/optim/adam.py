"""Adam, and AdamW, which shrinks the weights apart from the gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from metann.optim.arithmetic import (
    averaged,
    averaged_square,
    minus_quotient,
    penalised,
    root,
    shrunk,
)
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, require, require_betas, require_flags


@dataclass(frozen=True, eq=False)
class Adam(ByParameter):
    """Steps of about the size of lr, whatever the size of the gradients: `torch.optim.Adam`.

    Args:
        lr: the learning rate, >= 0.
        betas: how much of the running averages of the gradient and of its square is kept, each
            in [0, 1) and a hyper-parameter of its own.
        eps: added to the root of the average square, >= 0.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        amsgrad: divide by the largest average square so far (Reddi et al. 2018, arXiv 1904.09237).
        maximize: climb instead.
        decoupled_weight_decay: shrink the parameter by lr * weight_decay instead, as AdamW.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    The derivative of a step with regard to a gradient of exactly 0 is finite and right.

    Source: Kingma and Ba 2015, arXiv 1412.6980.
    """

    takes_many: ClassVar[bool] = True

    lr: Hyper = 1e-3
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: Hyper = 1e-8
    weight_decay: Hyper = 0.0
    amsgrad: bool = False
    maximize: bool = False
    decoupled_weight_decay: bool = False

    def __post_init__(self) -> None:
        require_flags(
            amsgrad=self.amsgrad,
            maximize=self.maximize,
            decoupled_weight_decay=self.decoupled_weight_decay,
        )
        require("lr", self.lr)
        require_betas(self.betas)
        require("eps", self.eps)
        require("weight_decay", self.weight_decay)

    def slot_names(self) -> tuple[str, ...]:
        """The running averages of the gradient and its square, and the largest of the latter."""
        largest = ("max_exp_avg_sq",) if self.amsgrad else ()
        return ("exp_avg", "exp_avg_sq", *largest)

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """Zeros."""
        return {name: torch.zeros_like(param) for name in self.slot_names()}

    def update(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        lr, beta1, beta2 = at(self.lr), at(self.betas[0]), at(self.betas[1])
        if self.maximize:
            grad = -grad
        if self.decoupled_weight_decay:
            param = shrunk(param, lr, at(self.weight_decay))
        else:
            grad = penalised(grad, param, at(self.weight_decay))
        average = averaged(slots["exp_avg"], grad, beta1)
        square = averaged_square(slots["exp_avg_sq"], grad, beta2)
        changed = {"exp_avg": average, "exp_avg_sq": square}
        if self.amsgrad:
            square = torch.maximum(slots["max_exp_avg_sq"], square)
            changed["max_exp_avg_sq"] = square
        denominator = root(square) / (1 - beta2**number) ** 0.5 + at(self.eps)
        return minus_quotient(param, lr / (1 - beta1**number), average, denominator), changed


@dataclass(frozen=True, eq=False)
class AdamW(Adam):
    """Adam that shrinks the weights apart from the gradient: `torch.optim.AdamW`.

    Args:
        lr: as in `Adam`, like all that follow.
        betas: as there.
        eps: as there.
        weight_decay: in each step the parameter is shrunk by lr * weight_decay first, >= 0.
        amsgrad: as there.
        maximize: as there.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    Source: Loshchilov and Hutter 2019, arXiv 1711.05101.
    """

    takes_many: ClassVar[bool] = True

    weight_decay: Hyper = 1e-2
    decoupled_weight_decay: bool = field(default=True, init=False)

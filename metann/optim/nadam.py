"""NAdam."""

from __future__ import annotations

from dataclasses import dataclass

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
from metann.optim.hyper import Hyper, Place, Value, require, require_betas, require_flags


@dataclass(frozen=True, eq=False)
class NAdam(ByParameter):
    """Adam with Nesterov's momentum: `torch.optim.NAdam`.

    Args:
        lr: the learning rate, >= 0.
        betas: how much of the running averages of the gradient and of its square is kept, each
            in [0, 1) and a hyper-parameter of its own.
        eps: added to the root of the average square, >= 0.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        momentum_decay: how fast the momentum grows from half of beta1 to all of it, >= 0.
        decoupled_weight_decay: shrink the parameter by lr * weight_decay instead, as AdamW.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    Source: Dozat 2016, Incorporating Nesterov momentum into Adam.
    """

    lr: Hyper = 2e-3
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: Hyper = 1e-8
    weight_decay: Hyper = 0.0
    momentum_decay: Hyper = 4e-3
    decoupled_weight_decay: bool = False
    maximize: bool = False

    def __post_init__(self) -> None:
        require_flags(decoupled_weight_decay=self.decoupled_weight_decay, maximize=self.maximize)
        require("lr", self.lr)
        require_betas(self.betas)
        require("eps", self.eps)
        require("weight_decay", self.weight_decay)
        require("momentum_decay", self.momentum_decay)

    def slot_names(self) -> tuple[str, ...]:
        """The running averages of the gradient and its square; the product of the momenta."""
        return ("exp_avg", "exp_avg_sq", "mu_product")

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """Zeros, and a product of no momenta."""
        averages = {name: torch.zeros_like(param) for name in ("exp_avg", "exp_avg_sq")}
        one = torch.ones((), dtype=param.real.dtype, device=param.device)
        return {**averages, "mu_product": one}

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
        decay = at(self.momentum_decay)
        momentum, following = momentum_at(number, beta1, decay), momentum_at(
            number + 1, beta1, decay
        )
        product = slots["mu_product"] * momentum
        average = averaged(slots["exp_avg"], grad, beta1)
        square = averaged_square(slots["exp_avg_sq"], grad, beta2)
        denominator = root(square / (1 - beta2**number)) + at(self.eps)
        stepped = minus_quotient(param, lr * (1 - momentum) / (1 - product), grad, denominator)
        ahead = lr * following / (1 - product * following)
        return minus_quotient(stepped, ahead, average, denominator), {
            "exp_avg": average,
            "exp_avg_sq": square,
            "mu_product": product,
        }


def momentum_at(number: int, beta1: Value, momentum_decay: Value) -> Value:
    """The momentum of one step, counted from 1."""
    return beta1 * (1 - 0.5 * 0.96 ** (number * momentum_decay))

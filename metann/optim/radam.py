"""RAdam."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from metann.optim.arithmetic import (
    averaged,
    averaged_square,
    minus,
    minus_quotient,
    penalised,
    root,
    shrunk,
)
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, Value, require, require_betas, require_flags

ValueT = TypeVar("ValueT", float, Tensor)

RELIABLE = 5
"""The average of squares is divided by once it goes over more than so many, in effect."""


@dataclass(frozen=True, eq=False)
class RAdam(ByParameter):
    """Adam that divides only once the average square is reliable: `torch.optim.RAdam`.

    Args:
        lr: the learning rate, >= 0.
        betas: how much of the running averages of the gradient and of its square is kept, each
            in [0, 1) and a hyper-parameter of its own.
        eps: added to the root of the average square, >= 0.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        decoupled_weight_decay: shrink the parameter by lr * weight_decay instead, as AdamW.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    Source: Liu et al. 2020, arXiv 1908.03265.
    """

    takes_many: ClassVar[bool] = True

    lr: Hyper = 1e-3
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: Hyper = 1e-8
    weight_decay: Hyper = 0.0
    decoupled_weight_decay: bool = False
    maximize: bool = False

    def __post_init__(self) -> None:
        require_flags(decoupled_weight_decay=self.decoupled_weight_decay, maximize=self.maximize)
        require("lr", self.lr)
        require_betas(self.betas)
        require("eps", self.eps)
        require("weight_decay", self.weight_decay)

    def slot_names(self) -> tuple[str, ...]:
        """The running averages of the gradient and its square."""
        return ("exp_avg", "exp_avg_sq")

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
        size = lr / (1 - beta1**number)
        denominator = root(square) + at(self.eps)
        stepped = self._moved(param, size, average, denominator, beta2, number)
        return stepped, {"exp_avg": average, "exp_avg_sq": square}

    def _moved(
        self,
        param: Tensor,
        size: Value,
        average: Tensor,
        denominator: Tensor,
        beta2: Value,
        number: int,
    ) -> Tensor:
        """The parameter moved by the average, which is divided if there are steps enough."""
        if isinstance(beta2, Tensor):
            factor, is_reliable = factor_of_tensor(beta2, number)
            divided = average * factor / denominator
            return minus(param, size, torch.where(is_reliable, divided, average))
        longest, length = lengths(beta2, number)
        if length <= RELIABLE:
            return minus(param, size, average)
        scale = sqrt(rectification(longest, length) * (1 - beta2**number))
        return minus_quotient(param, size * scale, average, denominator)


def lengths(beta2: ValueT, number: int) -> tuple[ValueT, ValueT]:
    """Over how many squares their average goes in effect: in the end, and at this step."""
    longest = 2 / (1 - beta2) - 1
    kept = beta2**number
    return longest, longest - 2 * number * kept / (1 - kept)


def rectification(longest: ValueT, length: ValueT) -> ValueT:
    """The square of what evens out the variance of the division, by the average's lengths."""
    now = (length - 4) * (length - 2) * longest
    return now / ((longest - 4) * (longest - 2) * length)


def factor_of_tensor(beta2: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The factor of the divided average, and whether it is to be used, for a learned beta2."""
    # The length is a small difference of large numbers.
    exact = beta2.double()
    longest, length = lengths(exact, number)
    is_reliable = length > RELIABLE
    # The factor that is not used has a finite derivative, too.
    longest = torch.where(is_reliable, longest, RELIABLE + 1.0)
    length = torch.where(is_reliable, length, RELIABLE + 1.0)
    factor = (rectification(longest, length) * (1 - exact**number)).sqrt()
    return factor.to(beta2.dtype), is_reliable

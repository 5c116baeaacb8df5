"""Adafactor."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar, cast

import torch
from torch import Tensor

from metann.optim.arithmetic import minus, root, shrunk
from metann.optim.bounds import at_least, at_most, require_at_most, require_tuple
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, Value, require


@dataclass(frozen=True, eq=False)
class Adafactor(ByParameter):
    """Average squares by rows and columns, steps as large as the weights: `torch.optim.Adafactor`.

    Args:
        lr: the largest step relative to the size of the parameter, and the factor of
            `weight_decay`, >= 0.
        beta2_decay: in step n, n ** beta2_decay is the weight of the new square, <= 0.
        eps: the least average square is eps[0] ** 2, or the square of the precision of the
            parameter's dtype where it is None; the least size of a parameter is eps[1]. Both >= 0,
            each a hyper-parameter of its own.
        d: a step whose root mean square is larger is clipped to it, >= 1.
        weight_decay: in each step the parameter is shrunk by lr * weight_decay first, >= 0.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type, or eps is no pair.

    The derivative of a step is finite where a gradient or a whole parameter is 0. Where eps[0] is
    None, torch takes the precision of the first parameter of a group for all of them.

    Source: Shazeer and Stern 2018, arXiv 1804.04235, as torch has it.
    """

    is_elementwise: ClassVar[bool] = False

    lr: Hyper = 1e-2
    beta2_decay: Hyper = -0.8
    eps: tuple[Hyper | None, Hyper] = (None, 1e-3)
    d: Hyper = 1.0
    weight_decay: Hyper = 0.0
    maximize: bool = False

    def __post_init__(self) -> None:
        require("lr", self.lr)
        require_at_most("beta2_decay", self.beta2_decay, high=0.0, low=-inf)
        require_tuple("eps", with_a_number(self.eps), ("precision", "size"), low=0.0)
        require("d", self.d, low=1.0)
        require("weight_decay", self.weight_decay)

    def slot_names(self) -> tuple[str, ...]:
        """The average squares: of rows and columns, or of each entry."""
        return ("row_var", "col_var", "variance")

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """Zeros: a column and a row for a parameter of two or more dimensions."""
        zeros = torch.zeros_like(param)
        if param.ndim < 2:
            return {"variance": zeros}
        return {"row_var": zeros[..., :1], "col_var": zeros[..., :1, :]}

    def update(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        lr, (eps1, eps2) = at(self.lr), self.eps
        least = torch.finfo(param.dtype).eps if eps1 is None else at(eps1)
        if self.maximize:
            grad = -grad
        rate = at_least(rms(param), at(eps2)) * at_most(lr, number**-0.5)
        param = shrunk(param, lr, at(self.weight_decay))
        weight = number ** at(self.beta2_decay)
        square, changed = estimated_square(grad, slots, weight, least)
        update = grad * at_least(square, least * least).rsqrt()
        return minus(param, rate / at_least(rms(update) / at(self.d), 1.0), update), changed


def estimated_square(
    grad: Tensor, slots: dict[str, Tensor], weight: Value, least: Value
) -> tuple[Tensor, dict[str, Tensor]]:
    """The average square of each entry, and the changed slots."""
    square = grad * grad
    if grad.ndim < 2:
        variance = torch.lerp(slots["variance"], square, weight)
        return variance, {"variance": variance}
    row = torch.lerp(slots["row_var"], square.mean(dim=-1, keepdim=True), weight)
    column = torch.lerp(slots["col_var"], square.mean(dim=-2, keepdim=True), weight)
    whole = at_least(row.mean(dim=-2, keepdim=True), least)
    return row * column / whole, {"row_var": row, "col_var": column}


def rms(tensor: Tensor) -> Tensor:
    """The root of the mean square, (), with derivative 0 where all is 0."""
    return root(tensor.square().mean())


def with_a_number(eps: object) -> object:
    """The pair with 0 in place of the precision that each dtype has by itself."""
    if not isinstance(eps, tuple):
        return eps
    first, *others = cast("tuple[object, ...]", eps) or (0.0,)
    return (0.0 if first is None else first, *others)

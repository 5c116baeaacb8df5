"""Averaged stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from metann.optim.arithmetic import minus, penalised
from metann.optim.bounds import at_least
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, Value, require


@dataclass(frozen=True, eq=False)
class ASGD(ByParameter):
    """Gradient descent that averages the parameters on its way: `torch.optim.ASGD`.

    The averages are in the state, as `state.slots["ax"]`; the parameters are not averaged.

    Args:
        lr: the learning rate, >= 0. In step n + 1 of a parameter it is divided by
            (1 + lambd * lr * n) ** alpha.
        lambd: how much the parameter shrinks in a step, as a factor of the learning rate.
        alpha: how fast the learning rate falls.
        t0: the averaging starts after so many steps and one more.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    torch keeps the learning rate in the default dtype; here it has that of the parameter.

    Source: Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging.
    """

    lr: Hyper = 1e-2
    lambd: Hyper = 1e-4
    alpha: Hyper = 0.75
    t0: Hyper = 1e6
    weight_decay: Hyper = 0.0
    maximize: bool = False

    def __post_init__(self) -> None:
        require("lr", self.lr)
        require("weight_decay", self.weight_decay)
        for name in ("lambd", "alpha", "t0"):
            require(name, getattr(self, name), low=-inf)

    def slot_names(self) -> tuple[str, ...]:
        """The next learning rate, the next weight in the average, the average."""
        return ("eta", "mu", "ax")

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """An average of 0; the rest is known with the first gradient."""
        return {"ax": torch.zeros_like(param)}

    def update(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        lr, lambd = at(self.lr), at(self.lambd)
        eta, mu = slots.get("eta", lr), slots.get("mu", 1.0)
        if self.maximize:
            grad = -grad
        grad = penalised(grad, param, at(self.weight_decay))
        after = minus(param * (1 - lambd * eta), eta, grad)
        changed = {
            "eta": as_tensor(lr / (1 + lambd * lr * number) ** at(self.alpha), param),
            "mu": as_tensor(1 / at_least(number - at(self.t0), 1.0), param),
            "ax": torch.lerp(slots["ax"], after, mu),
        }
        return after, changed


def as_tensor(value: Value, like: Tensor) -> Tensor:
    """The value as a tensor of another one's dtype and device."""
    if isinstance(value, Tensor):
        return value
    return torch.tensor(value, dtype=like.dtype, device=like.device)

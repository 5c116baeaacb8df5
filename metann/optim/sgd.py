"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from metann.errors import OptimizerError
from metann.optim.arithmetic import is_zero, minus, penalised, plus
from metann.optim.by_parameter import ByParameter, counted, require_same_shape
from metann.optim.hyper import Hyper, Place, require, require_flags
from metann.optim.state import State


@dataclass(frozen=True, eq=False)
class SGD(ByParameter):
    """Gradient descent, with momentum where wanted: `torch.optim.SGD`.

    Args:
        lr: the learning rate, >= 0.
        momentum: how much of the last direction is kept, >= 0.
        dampening: how much less than 1 the weight of a new gradient is, with momentum.
        weight_decay: the factor of the parameter that is added to its gradient, >= 0.
        nesterov: look ahead by one more step of momentum. Needs momentum and no dampening.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range, or `nesterov` does not fit.
        ArgumentError: a hyper-parameter is of another type.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum in deep
        learning.
    """

    takes_many: ClassVar[bool] = True

    lr: Hyper = 1e-3
    momentum: Hyper = 0.0
    dampening: Hyper = 0.0
    weight_decay: Hyper = 0.0
    nesterov: bool = False
    maximize: bool = False

    def __post_init__(self) -> None:
        require_flags(nesterov=self.nesterov, maximize=self.maximize)
        require("lr", self.lr)
        require("momentum", self.momentum)
        require("dampening", self.dampening, low=float("-inf"))
        require("weight_decay", self.weight_decay)
        if self.nesterov and (is_zero(self.momentum) or not is_zero(self.dampening)):
            raise OptimizerError(
                "nesterov=True needs a momentum and no dampening, got momentum="
                f"{self.momentum!r} and dampening={self.dampening!r}. Set momentum above 0 and "
                "leave dampening out."
            )

    def slot_names(self) -> tuple[str, ...]:
        """The buffer of the momentum, which the first gradient starts."""
        return ("momentum_buffer",)

    def step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
    ) -> tuple[list[Tensor], State]:
        """As in `Optimizer`; with a plain learning rate and nothing else, without detours."""
        lr = self.lr
        plain = is_zero(self.momentum) and is_zero(self.weight_decay)
        if not (plain and isinstance(lr, float)):
            return super().step(params, grads, state)
        self.require_fitting(params, grads, state)
        if self.maximize:
            lr = -lr
        stepped: list[Tensor] = []
        for param, grad in zip(params, grads, strict=True):
            if grad is None:
                stepped.append(param)
            elif param.shape == grad.shape:
                stepped.append(param.sub(grad, alpha=lr))
            else:
                require_same_shape(len(stepped), param, grad)
        return stepped, State(state.count + 1, counted(state, grads), state.slots)

    def update(
        self,
        param: Tensor,
        grad: Tensor,
        slots: dict[str, Tensor],
        number: int,  # noqa: ARG002
        at: Place,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        if self.maximize:
            grad = -grad
        grad = penalised(grad, param, at(self.weight_decay))
        momentum = at(self.momentum)
        if is_zero(momentum):
            return minus(param, at(self.lr), grad), {}
        kept = slots.get("momentum_buffer")
        buffer = grad if kept is None else plus(kept * momentum, 1 - at(self.dampening), grad)
        direction = plus(grad, momentum, buffer) if self.nesterov else buffer
        return minus(param, at(self.lr), direction), {"momentum_buffer": buffer}

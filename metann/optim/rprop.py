"""Resilient backpropagation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metann.errors import OptimizerError
from metann.optim.bounds import at_least, at_most, numbers_in, require_tuple
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, require


@dataclass(frozen=True, eq=False)
class Rprop(ByParameter):
    """Steps in the direction of the gradient's sign, of adapted sizes: `torch.optim.Rprop`.

    Args:
        lr: the size of a parameter's first step, >= 0.
        etas: the factors of the size where the sign has changed, in (0, 1), and where it has
            not, above 1; each a hyper-parameter of its own.
        step_sizes: the smallest and the largest size, each a hyper-parameter of its own.
        maximize: climb instead.

    Raises:
        OptimizerError: a number is out of its range.
        ArgumentError: a hyper-parameter is of another type.

    Where a gradient differs a little, the step is the same: the derivative of a step with regard
    to the gradients is 0, and the results have no graph that leads to them. What is left of a
    meta-gradient goes through the parameters and the hyper-parameters, for which it is right.

    Source: Riedmiller and Braun 1993, A direct adaptive method for faster backpropagation learning.
    """

    lr: Hyper = 1e-2
    etas: tuple[Hyper, Hyper] = (0.5, 1.2)
    step_sizes: tuple[Hyper, Hyper] = (1e-6, 50.0)
    maximize: bool = False

    def __post_init__(self) -> None:
        require("lr", self.lr)
        require_tuple("etas", self.etas, ("smaller", "larger"))
        require_tuple("step_sizes", self.step_sizes, ("least", "largest"))
        shrink, grow = (list(numbers_in(eta)) for eta in self.etas)
        if not (all(0 < eta < 1 for eta in shrink) and all(eta > 1 for eta in grow)):
            raise OptimizerError(
                "etas must be a factor between 0 and 1 and a factor above 1, got "
                f"{self.etas!r}. Give, for example, (0.5, 1.2)."
            )

    def slot_names(self) -> tuple[str, ...]:
        """The last gradient, and the size of the last step."""
        return ("prev", "step_size")

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """No gradient before; the size is known with the first one."""
        return {"prev": torch.zeros_like(param)}

    def update(
        self,
        param: Tensor,
        grad: Tensor,
        slots: dict[str, Tensor],
        number: int,  # noqa: ARG002
        at: Place,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        grad = -grad.detach() if self.maximize else grad.detach()
        size = slots.get("step_size")
        if size is None:
            size = torch.zeros_like(param) + at(self.lr)
        agreement = grad * slots["prev"]
        turned = agreement < 0
        larger = torch.where(agreement > 0, size * at(self.etas[1]), size)
        size = torch.where(turned, size * at(self.etas[0]), larger)
        size = at_most(at_least(size, at(self.step_sizes[0])), at(self.step_sizes[1]))
        grad = torch.where(turned, 0.0, grad)
        return param - grad.sign() * size, {"prev": grad, "step_size": size}

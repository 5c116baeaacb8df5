"""Optimisers with a hyper-parameter that TorchOpt has and torch has not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from metann.optim import Adam, RMSprop
from metann.optim.arithmetic import averaged, averaged_square, minus_quotient, root
from metann.optim.hyper import Place, require


@dataclass(frozen=True, eq=False)
class AdamWithRoot(Adam):
    """Adam that adds `eps_root` to the average square before its root is taken.

    Args:
        lr: as in `Adam`, like all but the last.
        betas: as there.
        eps: as there.
        eps_root: added inside of the root, >= 0.

    Source: `eps_root` of TorchOpt 0.7, which is that of optax.
    """

    eps_root: float = 0.0

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require("eps_root", self.eps_root)

    @override
    def update(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        beta1, beta2 = at(self.betas[0]), at(self.betas[1])
        average = averaged(slots["exp_avg"], grad, beta1)
        square = averaged_square(slots["exp_avg_sq"], grad, beta2)
        denominator = root(square / (1 - beta2**number) + self.eps_root) + at(self.eps)
        stepped = minus_quotient(param, at(self.lr) / (1 - beta1**number), average, denominator)
        return stepped, {"exp_avg": average, "exp_avg_sq": square}


@dataclass(frozen=True, eq=False)
class RMSpropFrom(RMSprop):
    """RMSprop whose average square begins with another value than 0.

    Args:
        lr: as in `RMSprop`, like all but the last.
        alpha: as there.
        eps: as there.
        centered: as there.
        initial_scale: what the average square begins with.

    Source: `initial_scale` of TorchOpt 0.7, which is that of optax.
    """

    initial_scale: float = 0.0

    @override
    def start(self, param: Tensor) -> dict[str, Tensor]:
        """Zeros, but for the average square."""
        return {
            **super().start(param),
            "square_avg": torch.full_like(param, self.initial_scale),
        }

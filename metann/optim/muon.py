"""Muon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from metann.errors import OptimizerError
from metann.optim.arithmetic import averaged, minus, shrunk
from metann.optim.bounds import at_least, require_tuple
from metann.optim.by_parameter import ByParameter
from metann.optim.hyper import Hyper, Place, Value, require


@dataclass(frozen=True, eq=False)
class Muon(ByParameter):
    """Steps of matrices whose singular values are all about 1: `torch.optim.Muon`.

    All parameters are matrices; give biases and the like to another optimiser.

    Args:
        lr: the learning rate, >= 0.
        weight_decay: in each step the parameter is shrunk by lr * weight_decay first, >= 0.
        momentum: how much of the running average of the gradient is kept, >= 0.
        nesterov: look ahead by one more step of momentum.
        ns_coefficients: of the iteration x <- a x + b (x x^T) x + c (x x^T)^2 x, each a
            hyper-parameter of its own.
        eps: the least norm that a matrix is divided by before the iteration.
        ns_steps: how many iterations there are.
        adjust_lr_fn: the learning rate of an (A, B) matrix is multiplied by sqrt(max(1, A / B)),
            "original" and the default, or by 0.2 * sqrt(max(A, B)), "match_rms_adamw".
        ns_dtype: in which precision it iterates. torch does in bfloat16, whatever the dtype of the
            parameter: its steps have two digits, and so have derivatives through them. With
            None it is the parameter's own.

    Raises:
        OptimizerError: a number is out of its range, or, from `init`, a parameter is no matrix.
        ArgumentError: a hyper-parameter is of another type.

    Not reproduced: with parameters in bfloat16 and nesterov=False, torch normalises the kept
    average itself.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; Liu et al. 2025,
        arXiv 2502.16982, for "match_rms_adamw".
    """

    is_elementwise: ClassVar[bool] = False

    lr: Hyper = 1e-3
    weight_decay: Hyper = 0.1
    momentum: Hyper = 0.95
    nesterov: bool = True
    ns_coefficients: tuple[Hyper, Hyper, Hyper] = (3.4445, -4.7750, 2.0315)
    eps: Hyper = 1e-7
    ns_steps: int = 5
    adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None
    ns_dtype: torch.dtype | None = torch.bfloat16

    def __post_init__(self) -> None:
        for name in ("lr", "weight_decay", "momentum"):
            require(name, getattr(self, name))
        require_tuple("ns_coefficients", self.ns_coefficients, ("a", "b", "c"))
        require("eps", self.eps, low=-inf)
        if self.adjust_lr_fn not in {None, "original", "match_rms_adamw"}:
            raise OptimizerError(
                'adjust_lr_fn must be None, "original" or "match_rms_adamw", got '
                f"{self.adjust_lr_fn!r}. Give one of these."
            )
        if not 0 <= self.ns_steps < 100:
            raise OptimizerError(
                f"ns_steps must be at least 0 and below 100, got {self.ns_steps!r}. Give a number "
                "in this range; 5 is usual."
            )

    def slot_names(self) -> tuple[str, ...]:
        """The running average of the gradient."""
        return ("momentum_buffer",)

    def start(self, param: Tensor) -> dict[str, Tensor]:
        """Zeros."""
        if param.ndim != 2:
            raise OptimizerError(
                f"Muon takes matrices only, got a parameter of shape {tuple(param.shape)}. Give "
                "parameters of other shapes to another optimiser."
            )
        return {"momentum_buffer": torch.zeros_like(param)}

    def update(
        self,
        param: Tensor,
        grad: Tensor,
        slots: dict[str, Tensor],
        number: int,  # noqa: ARG002
        at: Place,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step."""
        lr, momentum = at(self.lr), at(self.momentum)
        buffer = averaged(slots["momentum_buffer"], grad, momentum)
        direction = torch.lerp(grad, buffer, momentum) if self.nesterov else buffer
        matrix = direction.to(self.ns_dtype or param.dtype)
        coefficients = [at(value) for value in self.ns_coefficients]
        update = orthogonalised(matrix, coefficients, self.ns_steps, at(self.eps)).to(param.dtype)
        rate = lr * self._factor(*param.shape)
        return minus(shrunk(param, lr, at(self.weight_decay)), rate, update), {
            "momentum_buffer": buffer
        }

    def _factor(self, rows: int, columns: int) -> float:
        """What the learning rate is multiplied by."""
        if self.adjust_lr_fn == "match_rms_adamw":
            return 0.2 * sqrt(max(rows, columns))
        return sqrt(max(1, rows / columns))


def orthogonalised(matrix: Tensor, coefficients: Sequence[Value], steps: int, eps: Value) -> Tensor:
    """The matrix with its singular values moved towards 1, by Newton-Schulz iterations.

    Args:
        matrix: shape (A, B), in the precision to compute in.
        coefficients: a, b and c.
        steps: how many iterations.
        eps: the least norm that it is divided by.
    """
    is_tall = matrix.size(0) > matrix.size(1)
    x = matrix.mT if is_tall else matrix
    x = x / at_least(frobenius(x), eps)
    a, b, c = coefficients
    for _ in range(steps):
        gram = x @ x.mT
        x = combined(a, x, 1.0, combined(b, gram, c, gram, gram), x)
    return x.mT if is_tall else x


def combined(beta: Value, base: Tensor, alpha: Value, left: Tensor, right: Tensor) -> Tensor:
    """beta * base + alpha * left @ right."""
    if isinstance(alpha, Tensor) or isinstance(beta, Tensor):
        return beta * base + alpha * (left @ right)
    return torch.addmm(base, left, right, beta=beta, alpha=alpha)


def frobenius(matrix: Tensor) -> Tensor:
    """The norm of a matrix, (), with derivative 0, of any order, where it is 0."""
    is_zero = (matrix == 0).all()
    linalg: Any = torch.linalg  # whose functions have no types
    norm: Tensor = linalg.vector_norm(torch.where(is_zero, 1.0, matrix))
    return torch.where(is_zero, 0.0, norm)

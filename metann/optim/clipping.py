"""Transforms of gradients that torch has, too: clipping by norm and by value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from torch import Tensor

from metann.errors import OptimizerError
from metann.optim.arithmetic import root
from metann.optim.hyper import Value, require


def clip_by_norm(max_norm: Value, norm_type: float = 2.0) -> ClipByNorm:
    """Scale all gradients together, so that their norm is at most `max_norm`.

    Args:
        max_norm: the largest norm, a number >= 0 or a tensor of shape (), which may be learned.
        norm_type: which norm, above 0; `float("inf")` is the largest entry.

    Raises:
        OptimizerError: a number is out of its range.

    Where all gradients are 0, its derivative is that of no clipping.

    Source: `torch.nn.utils.clip_grad_norm_`; Pascanu et al. 2013, arXiv 1211.5063.
    """
    return ClipByNorm(max_norm, float(norm_type))


def clip_by_value(clip_value: Value) -> ClipByValue:
    """Move every entry of the gradients into [-clip_value, clip_value].

    Args:
        clip_value: a number >= 0, or a tensor of shape (), which may be learned.

    Raises:
        OptimizerError: the number is less than 0.

    Source: `torch.nn.utils.clip_grad_value_`.
    """
    return ClipByValue(clip_value)


@dataclass(frozen=True, eq=False)
class ClipByNorm:
    """Scales gradients; see `clip_by_norm`."""

    is_elementwise: ClassVar[bool] = False

    max_norm: Value
    norm_type: float

    def __post_init__(self) -> None:
        require("max_norm", self.max_norm)
        if not self.norm_type > 0:
            raise OptimizerError(
                f"norm_type must be above 0, got {self.norm_type!r}. Give 2.0, or "
                'float("inf") for the largest entry.'
            )

    def __call__(self, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients, scaled; None stays None."""
        norms = [norm(grad, self.norm_type) for grad in grads if grad is not None]
        if not norms:
            return [*grads]
        device = norms[0].device
        whole = norm(torch.stack([each.to(device) for each in norms]), self.norm_type)
        factor = torch.clamp(self.max_norm / (whole + 1e-6), max=1.0)
        return [None if grad is None else grad * factor.to(grad.device) for grad in grads]


@dataclass(frozen=True, eq=False)
class ClipByValue:
    """Clips gradients; see `clip_by_value`."""

    is_elementwise: ClassVar[bool] = True

    clip_value: Value

    def __post_init__(self) -> None:
        require("clip_value", self.clip_value)

    def __call__(self, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients, clipped; None stays None."""
        high = self.clip_value
        return [None if grad is None else grad.clamp(max=high).clamp(min=-high) for grad in grads]


def norm(tensor: Tensor, order: float) -> Tensor:
    """The norm of all entries, (), with derivative 0 where they are 0.

    Args:
        tensor: any shape.
        order: above 0; inf is the largest absolute value.
    """
    if order == inf:
        return tensor.abs().amax()
    if order == 2:
        flat = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        return root((flat * flat).sum())
    # A power of 0 may have an infinite derivative, hence the smallest number in place of 0.
    least = torch.finfo(tensor.dtype).tiny
    powers = torch.threshold(tensor.abs(), 0.0, least) ** order
    return torch.threshold(powers.sum(), 0.0, least) ** (1 / order)

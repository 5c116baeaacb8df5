"""Hooks on the gradients of an inner loop: what flows back through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor

from metann.compat.torchopt.base import GradientTransformation, each


def register_hook(hook: Callable[[Tensor], Tensor | None]) -> GradientTransformation:
    """Pass gradients on with a hook for what flows back through them; see `Tensor.register_hook`.

    Where a gradient has no graph, nothing flows back, and there is nothing to do.

    Source: the function of this name in TorchOpt 0.7.
    """

    def hooked(grad: Tensor) -> Tensor:
        if not grad.requires_grad:
            return grad
        # On a view: a hook on the tensor itself would see what flows by other ways as well.
        seen: Any = grad.view_as(grad)
        seen.register_hook(hook)
        return cast("Tensor", seen)

    return each(hooked)


def zero_nan_hook(grad: Tensor) -> Tensor:
    """The gradient with 0 where it is not a number."""
    return grad.nan_to_num(nan=0.0)


def nan_to_num_hook(
    nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Callable[[Tensor], Tensor]:
    """A hook with numbers in place of NaN and infinities, as `torch.nan_to_num`."""
    return lambda grad: grad.nan_to_num(nan=nan, posinf=posinf, neginf=neginf)


def nan_to_num(
    nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> GradientTransformation:
    """Numbers in place of NaN and infinities in the gradients, as `torch.nan_to_num`.

    Source: the function of this name in TorchOpt 0.7.
    """
    return each(lambda grad: grad.nan_to_num(nan=nan, posinf=posinf, neginf=neginf))

"""Clipping gradients by their norm."""

from __future__ import annotations

import torch
from torch import Tensor

from metann.compat.torchopt.base import EmptyState, GradientTransformation, OptState, on_leaves
from metann.compat.torchopt.trees import Leaf
from metann.errors import OptimizerError
from metann.optim import clip_by_norm


def clip_grad_norm(
    max_norm: float | Tensor, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> GradientTransformation:
    """Scale all gradients together, so that their norm is at most `max_norm`.

    The factor is differentiated like everything else; TorchOpt takes it for a constant, so that
    its meta-gradients are wrong where it clips.

    Args:
        max_norm: the largest norm; a tensor may be learned.
        norm_type: which norm; `float("inf")` is the largest entry.
        error_if_nonfinite: raise where a gradient is infinite or not a number.

    Raises:
        OptimizerError: in an update, a `ValueError`: a gradient is not finite.

    Source: the function of this name in TorchOpt 0.7; `torch.nn.utils.clip_grad_norm_`.
    """
    clip = clip_by_norm(max_norm, norm_type)

    def update(
        updates: list[Leaf],
        state: OptState,
        params: list[Leaf] | None,  # noqa: ARG001
    ) -> tuple[list[Leaf], OptState]:
        if error_if_nonfinite:
            _require_finite(updates)
        return clip(updates), state

    return on_leaves(lambda _: EmptyState(), update)


def _require_finite(updates: list[Leaf]) -> None:
    bad = [
        index
        for index, leaf in enumerate(updates)
        if leaf is not None and not bool(torch.isfinite(leaf).all())
    ]
    if bad:
        raise OptimizerError(
            f"the gradients of parameters {bad} are not finite, so they cannot be clipped. Mend "
            "the loss, or give error_if_nonfinite=False to go on with what comes out."
        )

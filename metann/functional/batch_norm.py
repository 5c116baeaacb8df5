"""Batch normalisation of all tasks as one with channels of each task."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from metann.functional.task_axis import all_in_sight, in_sight, innermost_vmap, out_of_sight


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel over the batch, or by running statistics.

    Under a vmap with weights of its own for each task it is one call of torch's kernel; torch's
    batching rule applies the weights in two passes of their own.

    Args:
        input: shape (N, C, *).
        running_mean: shape (C,), and so are `running_var`, `weight` and `bias`; None if not used.
        training: normalise by the batch, and update the running statistics in place.
        momentum: how much of the batch goes into them.
        eps: added to the variance.

    Source: torch.nn.functional.batch_norm.
    """
    level = innermost_vmap()
    x = None if level is None else in_sight(input, level, at=1)
    # With a bias alone the kernel has no second derivative in eval mode; torch's rule adds it.
    has_bias_alone = weight is None and bias is not None
    if level is not None and x is not None and x.dim() > 2 and not has_bias_alone:
        own = all_in_sight((running_mean, running_var, weight, bias), level)
        if own is not None:
            mean, var, w, b = (None if tensor is None else tensor.flatten() for tensor in own)
            output = F.batch_norm(x.flatten(1, 2), mean, var, w, b, training, momentum, eps)
            if training:
                _write_back((mean, var), own[:2])
            return out_of_sight(output.reshape(x.shape), level, at=1)
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def _write_back(flat: Sequence[Tensor | None], own: Sequence[Tensor | None]) -> None:
    """Statistics whose task axis was not in front have been copied, and the copies written into.

    torch's batching rule forgets these.
    """
    for written, statistics in zip(flat, own, strict=True):
        if written is not None and statistics is not None and not statistics.is_contiguous():
            statistics.copy_(written.reshape(statistics.shape))

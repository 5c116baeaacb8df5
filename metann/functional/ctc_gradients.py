"""The backward pass of connectionist temporal classification."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metann.functional.ctc_paths import (
    Lengths,
    counts_of,
    paths_of,
    total_of,
    ways_before,
    ways_behind,
)


def ctc_loss_backward(
    grad: Tensor,
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    neg_log_likelihood: Tensor,
    log_alpha: Tensor,
    blank: int,
    zero_infinity: bool = False,
) -> Tensor:
    """The gradient of log_probs, as a computation that can be differentiated."""
    frames, classes = (counts_of(each, log_probs) for each in (input_lengths, target_lengths))
    paths = paths_of(log_probs, targets, frames, classes, blank)
    before, behind = ways_before(paths), ways_behind(paths)
    total, is_possible = total_of(before[-1], paths)
    through = torch.stack(before[1:]) + behind - total.masked_fill(~is_possible, 0.0).unsqueeze(1)
    said = torch.zeros_like(log_probs).scatter_add(
        2, paths.labels.expand_as(through), through.exp()
    )
    impossible = 0.0 if zero_infinity else math.nan
    gradient = torch.where(is_possible.unsqueeze(1), log_probs.exp() - said, impossible)
    return gradient.where(paths.is_frame, 0.0) * grad.reshape(-1, 1)

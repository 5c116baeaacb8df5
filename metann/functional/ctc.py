"""Connectionist temporal classification in plain operations."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.ctc_paths import Lengths, counts_of, paths_of, total_of, ways_before
from metann.functional.derivatives import supply
from metann.functional.reduction import MEAN, reduced, reduction_of
from metann.functional.transforms import is_inside_functorch, plain_form_is_needed


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the logarithm of the probability of the targets.

    As in torch, the derivative is that of `log_probs` that are normalised, as `log_softmax` gives.

    Args:
        log_probs: logarithms of probabilities, shape (T, N, C) or (T, C).
        targets: classes, shape (N, S), or those of all examples behind one another.
        input_lengths: how many frames belong to each example, shape (N,).
        target_lengths: how many classes belong to each example, shape (N,).
        blank: the class that says nothing.
        reduction: "none", "mean" (of the losses over the target's length) or "sum".
        zero_infinity: a target that does not fit into its input has the loss 0, not infinity.

    Raises:
        ValueError: there is no such reduction.

    Source: torch.nn.functional.ctc_loss.
    """
    if not plain_form_is_needed():
        supply()
        if is_inside_functorch():
            # With numbers torch looks into the storage of a tensor, which a wrapped one has not.
            input_lengths, target_lengths = map(torch.as_tensor, (input_lengths, target_lengths))
        # torch's stubs do not know that the lengths may be numbers.
        lengths: tuple[Tensor, Tensor] = (input_lengths, target_lengths)  # type: ignore[assignment]
        return F.ctc_loss(log_probs, targets, *lengths, blank, reduction, zero_infinity)
    is_single = log_probs.dim() == 2
    # As autocast does: torch has no such loss in half precision.
    frames = log_probs.float() if log_probs.element_size() < 4 else log_probs
    frames = frames.unsqueeze(1) if is_single else frames
    counts = counts_of(target_lengths, frames)
    losses = _losses(
        frames, targets, counts_of(input_lengths, frames), counts, blank, zero_infinity
    )
    number = reduction_of(reduction)
    if number == MEAN:
        losses = losses / counts.clamp(min=1)
    return reduced(losses.squeeze(0) if is_single else losses, number)


def _losses(
    log_probs: Tensor,
    targets: Tensor,
    input_counts: Tensor,
    target_counts: Tensor,
    blank: int,
    zero_infinity: bool,
) -> Tensor:
    """The loss of each example."""
    paths = paths_of(log_probs, targets, input_counts, target_counts, blank)
    total, is_possible = total_of(ways_before(paths)[-1], paths)
    # Zero, with the derivative that torch adds to keep log_probs normalised.
    mass = log_probs.exp().where(paths.is_frame, 0.0).sum((0, 2))
    losses = mass - mass.detach() - total
    return losses.where(is_possible, 0.0 if zero_infinity else math.inf)

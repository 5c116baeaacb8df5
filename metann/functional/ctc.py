"""Connectionist temporal classification in plain operations.

The probability of a target is that of all the ways to say it: paths, one state a frame, through
its labels with a blank before, between and behind them. Both sums over paths are computed in
logarithms, frame after frame: `_before` up to a frame, `_behind` from it on.

Source: Graves et al. 2006, Connectionist Temporal Classification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.reduction import MEAN, reduced, reduction_of
from metann.functional.transforms import plain_form_is_needed, unwrapped

# The logarithm of what cannot be. With a finite one no derivative is NaN.
_NEVER = -1e30
Lengths = Tensor | Sequence[int]


@dataclass(frozen=True)
class _Paths:
    """The states of N targets, S each.

    Attributes:
        labels: shape (N, S), the class that a state says; blank for each second one.
        skip: shape (N, S), whether the state before may be left out.
        is_last: shape (N, S), whether a path may end here.
        is_frame: shape (T, N, 1), whether the frame belongs to the input.
        frames: shape (T, N, S), the logarithm of the probability of each state's class.
    """

    labels: Tensor
    skip: Tensor
    is_last: Tensor
    is_frame: Tensor
    frames: Tensor


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
        # torch's stubs do not know that the lengths may be numbers.
        lengths: tuple[Tensor, Tensor] = (input_lengths, target_lengths)  # type: ignore[assignment]
        return F.ctc_loss(log_probs, targets, *lengths, blank, reduction, zero_infinity)
    is_single = log_probs.dim() == 2
    # As autocast does: torch has no such loss in half precision.
    frames = log_probs.float() if log_probs.element_size() < 4 else log_probs
    frames = frames.unsqueeze(1) if is_single else frames
    counts = _counts(target_lengths, frames)
    losses = _losses(frames, targets, _counts(input_lengths, frames), counts, blank, zero_infinity)
    number = reduction_of(reduction)
    if number == MEAN:
        losses = losses / counts.clamp(min=1)
    return reduced(losses.squeeze(0) if is_single else losses, number)


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
    frames, classes = (_counts(each, log_probs) for each in (input_lengths, target_lengths))
    paths = _paths(log_probs, targets, frames, classes, blank)
    before, behind = _before(paths), _behind(paths)
    total, is_possible = _total(before[-1], paths)
    through = torch.stack(before[1:]) + behind - total.masked_fill(~is_possible, 0.0).unsqueeze(1)
    said = torch.zeros_like(log_probs).scatter_add(
        2, paths.labels.expand_as(through), through.exp()
    )
    impossible = 0.0 if zero_infinity else math.nan
    gradient = torch.where(is_possible.unsqueeze(1), log_probs.exp() - said, impossible)
    return gradient.where(paths.is_frame, 0.0) * grad.reshape(-1, 1)


def _losses(
    log_probs: Tensor,
    targets: Tensor,
    input_counts: Tensor,
    target_counts: Tensor,
    blank: int,
    zero_infinity: bool,
) -> Tensor:
    """The loss of each example."""
    paths = _paths(log_probs, targets, input_counts, target_counts, blank)
    total, is_possible = _total(_before(paths)[-1], paths)
    # Zero, with the derivative that torch adds to keep log_probs normalised.
    mass = log_probs.exp().where(paths.is_frame, 0.0).sum((0, 2))
    losses = mass - mass.detach() - total
    return losses.where(is_possible, 0.0 if zero_infinity else math.inf)


def _paths(
    log_probs: Tensor, targets: Tensor, input_counts: Tensor, target_counts: Tensor, blank: int
) -> _Paths:
    labels = _between_blanks(_padded(targets, target_counts, blank), blank)
    numbers = torch.arange(labels.shape[1], device=labels.device)
    end = 2 * target_counts.unsqueeze(1)
    number_of_frame = torch.arange(log_probs.shape[0], device=labels.device)
    frames = log_probs.gather(2, labels.expand(log_probs.shape[0], *labels.shape))
    return _Paths(
        labels,
        # Two equal labels need the blank between them; two blanks need the label.
        skip=labels != F.pad(labels, (2, 0), value=blank)[:, :-2],
        is_last=(numbers == end) | (numbers == end - 1),
        is_frame=(number_of_frame.unsqueeze(1) < input_counts).unsqueeze(2),
        frames=frames.clamp(min=_NEVER),
    )


def _counts(lengths: Lengths, log_probs: Tensor) -> Tensor:
    """Shape (N,), where `log_probs` are."""
    return torch.as_tensor(lengths, device=log_probs.device).reshape(-1)


def _padded(targets: Tensor, counts: Tensor, blank: int) -> Tensor:
    """The targets as rows, blank behind the end of each."""
    targets = targets.to(counts.device, torch.int64)
    if targets.dim() == 2:
        rows, length = targets, targets.shape[1]
    else:
        # The same for all elements of a vmap over the lengths.
        length = int(unwrapped(counts).max()) if counts.numel() else 0
        starts = (counts.cumsum(0) - counts).unsqueeze(1)
        places = starts + torch.arange(length, device=counts.device)
        rows = targets[places.clamp(max=max(targets.numel() - 1, 0))]
    is_given = torch.arange(length, device=counts.device) < counts.unsqueeze(1)
    return rows.where(is_given, blank)


def _between_blanks(rows: Tensor, blank: int) -> Tensor:
    """Example: [[1, 2]] -> [[0, 1, 0, 2, 0]]."""
    pairs = torch.stack([torch.full_like(rows, blank), rows], -1).flatten(1)
    return F.pad(pairs, (0, 1), value=blank)


def _before(paths: _Paths) -> list[Tensor]:
    """For each frame, and before the first one, all ways from the start into each state."""
    start = torch.full_like(paths.frames[0], _NEVER)
    ways = [torch.cat([torch.zeros_like(start[:, :1]), start[:, 1:]], 1)]
    for frame, is_frame in zip(paths.frames, paths.is_frame, strict=True):
        stay = ways[-1]
        step = F.pad(stay, (1, 0), value=_NEVER)[:, :-1]
        skip = F.pad(stay, (2, 0), value=_NEVER)[:, :-2].where(paths.skip, _NEVER)
        into = torch.stack([stay, step, skip]).logsumexp(0)
        ways.append((into + frame).where(is_frame, stay))
    return ways


def _behind(paths: _Paths) -> Tensor:
    """For each frame all ways from each state to the end, without the frame itself."""
    end = torch.zeros_like(paths.frames[0]).where(paths.is_last, _NEVER)
    ways = [end]
    for frame, is_frame in zip(paths.frames.flip(0), paths.is_frame.flip(0), strict=True):
        stay = ways[-1] + frame
        step = F.pad(stay, (0, 1), value=_NEVER)[:, 1:]
        skip = F.pad(stay.where(paths.skip, _NEVER), (0, 2), value=_NEVER)[:, 2:]
        out_of = torch.stack([stay, step, skip]).logsumexp(0)
        ways.append(out_of.where(is_frame, ways[-1]))
    return torch.stack(ways[-2::-1])


def _total(ways: Tensor, paths: _Paths) -> tuple[Tensor, Tensor]:
    """All ways that end where they may, and whether there are any."""
    total = ways.where(paths.is_last, _NEVER).logsumexp(1)
    return total, total > _NEVER / 2

"""The paths of connectionist temporal classification, and the sums over them.

The probability of a target is that of all the ways to say it: paths, one state a frame, through
its labels with a blank before, between and behind them. Both sums over paths are computed in
logarithms, frame after frame: `ways_before` up to a frame, `ways_behind` from it on.

Source: Graves et al. 2006, Connectionist Temporal Classification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.transforms import unwrapped

# The logarithm of what cannot be. With a finite one no derivative is NaN.
_NEVER = -1e30
Lengths = Tensor | Sequence[int]


@dataclass(frozen=True)
class Paths:
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


def paths_of(
    log_probs: Tensor, targets: Tensor, input_counts: Tensor, target_counts: Tensor, blank: int
) -> Paths:
    """All that the sums over paths need; the counts are those of frames and of classes."""
    labels = _between_blanks(_padded(targets, target_counts, blank), blank)
    numbers = torch.arange(labels.shape[1], device=labels.device)
    end = 2 * target_counts.unsqueeze(1)
    number_of_frame = torch.arange(log_probs.shape[0], device=labels.device)
    frames = log_probs.gather(2, labels.expand(log_probs.shape[0], *labels.shape))
    return Paths(
        labels,
        # Two equal labels need the blank between them; two blanks need the label.
        skip=labels != F.pad(labels, (2, 0), value=blank)[:, :-2],
        is_last=(numbers == end) | (numbers == end - 1),
        is_frame=(number_of_frame.unsqueeze(1) < input_counts).unsqueeze(2),
        frames=frames.clamp(min=_NEVER),
    )


def counts_of(lengths: Lengths, log_probs: Tensor) -> Tensor:
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


def ways_before(paths: Paths) -> list[Tensor]:
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


def ways_behind(paths: Paths) -> Tensor:
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


def total_of(ways: Tensor, paths: Paths) -> tuple[Tensor, Tensor]:
    """All ways that end where they may, and whether there are any."""
    total = ways.where(paths.is_last, _NEVER).logsumexp(1)
    return total, total > _NEVER / 2

"""Multi-class margin losses in plain operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.derivatives import supply
from metann.functional.margin_gradients import (
    before_the_first_negative,
    factors,
    rows_of,
    to_each_label,
    to_the_right_class,
)
from metann.functional.reduction import reduced, reduction_of
from metann.functional.transforms import plain_form_is_needed


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the wrong classes of how far each comes closer than `margin`, to the power p.

    Args:
        input: scores, shape (N, C) or (C,).
        target: the right classes, shape (N,), or () or (1,).
        p: 1 or 2.
        margin: by which the right class ought to be ahead.
        weight: of each class, shape (C,).
        size_average: deprecated by torch in favour of `reduction`.
        reduce: deprecated by torch in favour of `reduction`.
        reduction: "none", "mean" or "sum".

    Raises:
        ValueError: p is neither, or there is no such reduction.

    Source: torch.nn.functional.multi_margin_loss.
    """
    if not plain_form_is_needed():
        supply()
        return F.multi_margin_loss(
            input, target, p, margin, weight, size_average, reduce, reduction
        )
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    distances, is_wrong = to_the_right_class(rows_of(input), target.reshape(-1), margin)
    losses = F.relu(distances) ** p * is_wrong * factors(input, target, weight)
    return reduced(
        losses.sum(1).reshape(target.shape), reduction_of(reduction, size_average, reduce)
    )


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How far the other classes come closer than 1 to each class of the target, over C.

    Args:
        input: scores, shape (N, C) or (C,).
        target: the same shape; the right classes come first, -1 behind the last of them.
        size_average: deprecated by torch in favour of `reduction`.
        reduce: deprecated by torch in favour of `reduction`.
        reduction: "none", "mean" or "sum".

    Raises:
        ValueError: there is no such reduction.

    Source: torch.nn.functional.multilabel_margin_loss.
    """
    if not plain_form_is_needed():
        supply()
        return F.multilabel_margin_loss(input, target, size_average, reduce, reduction)
    rows, labels = rows_of(input), rows_of(target)
    is_label = before_the_first_negative(labels)
    numbers = torch.arange(rows.shape[1], device=rows.device)
    is_right = ((labels.unsqueeze(2) == numbers) & is_label.unsqueeze(2)).any(1)
    distances, counts = to_each_label(rows, labels, is_label, is_right)
    losses = (F.relu(distances) * counts).sum((1, 2)) / rows.shape[1]
    return reduced(losses.reshape(input.shape[:-1]), reduction_of(reduction, size_average, reduce))

"""Multi-class margin losses in plain operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.reduction import MEAN, reduced, reduction_of
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
        return F.multi_margin_loss(
            input, target, p, margin, weight, size_average, reduce, reduction
        )
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    distances, is_wrong = _to_the_right_class(_rows(input), target.reshape(-1), margin)
    losses = F.relu(distances) ** p * is_wrong * _factors(input, target, weight)
    return reduced(
        losses.sum(1).reshape(target.shape), reduction_of(reduction, size_average, reduce)
    )


def multi_margin_loss_backward(
    grad_output: Tensor,
    self: Tensor,
    target: Tensor,
    p: float,
    margin: float,
    weight: Tensor | None = None,
    reduction: int = MEAN,
) -> Tensor:
    """The gradient of the scores, as a computation that can be differentiated."""
    classes = target.reshape(-1)
    distances, is_wrong = _to_the_right_class(_rows(self), classes, margin)
    slopes = 1.0 if p == 1 else 2 * distances
    given = _factors(self, target, weight) * ((distances > 0) & is_wrong) * slopes
    taken = given.sum(1, keepdim=True)
    gradient = given.scatter_add(1, classes.unsqueeze(1), -taken)
    return _scaled(gradient, grad_output, reduction).reshape(self.shape)


def _to_the_right_class(rows: Tensor, classes: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """How much closer than the margin each class is, and whether it is a wrong one."""
    right = rows.gather(1, classes.unsqueeze(1))
    numbers = torch.arange(rows.shape[1], device=rows.device)
    return margin - right + rows, numbers != classes.unsqueeze(1)


def _factors(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """What each row is multiplied by: one over the number of classes, and the class's weight."""
    rows = _rows(input)
    each = rows.new_full((1, 1), 1 / rows.shape[1])
    return each if weight is None else each * weight[target.reshape(-1)].unsqueeze(1)


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
        return F.multilabel_margin_loss(input, target, size_average, reduce, reduction)
    rows, labels = _rows(input), _rows(target)
    is_label = _before_the_first_negative(labels)
    numbers = torch.arange(rows.shape[1], device=rows.device)
    is_right = ((labels.unsqueeze(2) == numbers) & is_label.unsqueeze(2)).any(1)
    distances, counts = _to_each_label(rows, labels, is_label, is_right)
    losses = (F.relu(distances) * counts).sum((1, 2)) / rows.shape[1]
    return reduced(losses.reshape(input.shape[:-1]), reduction_of(reduction, size_average, reduce))


def multilabel_margin_loss_backward(
    grad_output: Tensor, self: Tensor, target: Tensor, reduction: int, is_target: Tensor
) -> Tensor:
    """The gradient of the scores, as a computation that can be differentiated."""
    rows, labels = _rows(self), _rows(target)
    is_label = _before_the_first_negative(labels)
    distances, counts = _to_each_label(rows, labels, is_label, _rows(is_target) != 0)
    slopes = ((distances > 0) & counts).to(rows.dtype) / rows.shape[1]
    gradient = slopes.sum(1).scatter_add(1, labels.clamp(min=0), -slopes.sum(2))
    return _scaled(gradient, grad_output, reduction).reshape(self.shape)


def _to_each_label(
    rows: Tensor, labels: Tensor, is_label: Tensor, is_right: Tensor
) -> tuple[Tensor, Tensor]:
    """For each row, label and class: how much closer than 1 these are, and whether it counts."""
    right = rows.gather(1, labels.clamp(min=0))
    distances = 1 - right.unsqueeze(2) + rows.unsqueeze(1)
    return distances, is_label.unsqueeze(2) & ~is_right.unsqueeze(1)


def _before_the_first_negative(labels: Tensor) -> Tensor:
    return (labels < 0).cumsum(1) == 0


def _rows(tensor: Tensor) -> Tensor:
    """As a matrix: one row if it is a single example."""
    return tensor if tensor.dim() == 2 else tensor.reshape(1, -1)


def _scaled(gradient: Tensor, grad_output: Tensor, reduction: int) -> Tensor:
    """Each row times the gradient of its loss."""
    divided = gradient / gradient.shape[0] if reduction == MEAN else gradient
    return divided * grad_output.reshape(-1, 1)

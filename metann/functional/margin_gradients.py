"""The backward passes of the margin losses, and what these share with the losses."""

from __future__ import annotations

import torch
from torch import Tensor

from metann.functional.reduction import MEAN


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
    distances, is_wrong = to_the_right_class(rows_of(self), classes, margin)
    slopes = 1.0 if p == 1 else 2 * distances
    given = factors(self, target, weight) * ((distances > 0) & is_wrong) * slopes
    taken = given.sum(1, keepdim=True)
    gradient = given.scatter_add(1, classes.unsqueeze(1), -taken)
    return _scaled(gradient, grad_output, reduction).reshape(self.shape)


def multilabel_margin_loss_backward(
    grad_output: Tensor, self: Tensor, target: Tensor, reduction: int, is_target: Tensor
) -> Tensor:
    """The gradient of the scores, as a computation that can be differentiated."""
    rows, labels = rows_of(self), rows_of(target)
    is_label = before_the_first_negative(labels)
    distances, counts = to_each_label(rows, labels, is_label, rows_of(is_target) != 0)
    slopes = ((distances > 0) & counts).to(rows.dtype) / rows.shape[1]
    gradient = slopes.sum(1).scatter_add(1, labels.clamp(min=0), -slopes.sum(2))
    return _scaled(gradient, grad_output, reduction).reshape(self.shape)


def to_the_right_class(rows: Tensor, classes: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """How much closer than the margin each class is, and whether it is a wrong one."""
    right = rows.gather(1, classes.unsqueeze(1))
    numbers = torch.arange(rows.shape[1], device=rows.device)
    return margin - right + rows, numbers != classes.unsqueeze(1)


def factors(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """What each row is multiplied by: one over the number of classes, and the class's weight."""
    rows = rows_of(input)
    each = rows.new_full((1, 1), 1 / rows.shape[1])
    return each if weight is None else each * weight[target.reshape(-1)].unsqueeze(1)


def to_each_label(
    rows: Tensor, labels: Tensor, is_label: Tensor, is_right: Tensor
) -> tuple[Tensor, Tensor]:
    """For each row, label and class: how much closer than 1 these are, and whether it counts."""
    right = rows.gather(1, labels.clamp(min=0))
    distances = 1 - right.unsqueeze(2) + rows.unsqueeze(1)
    return distances, is_label.unsqueeze(2) & ~is_right.unsqueeze(1)


def before_the_first_negative(labels: Tensor) -> Tensor:
    """Which of them are labels."""
    return (labels < 0).cumsum(1) == 0


def rows_of(tensor: Tensor) -> Tensor:
    """As a matrix: one row if it is a single example."""
    return tensor if tensor.dim() == 2 else tensor.reshape(1, -1)


def _scaled(gradient: Tensor, grad_output: Tensor, reduction: int) -> Tensor:
    """Each row times the gradient of its loss."""
    divided = gradient / gradient.shape[0] if reduction == MEAN else gradient
    return divided * grad_output.reshape(-1, 1)

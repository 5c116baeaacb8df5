"""Losses and distances in plain operations."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.reduction import reduced, reduction_of
from metann.functional.transforms import plain_form_is_needed, unwrapped

# torch's stubs do not know all its functions in full.
_torch: Any = torch


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Half the square of the differences below `delta`; beyond, linear.

    Args:
        input: any shape.
        target: a shape that broadcasts with it.
        reduction: "none", "mean" or "sum".
        delta: where the linear part begins.
        weight: of each element, shape as `input`.

    Raises:
        ValueError: there is no such reduction, or `weight` has another shape.

    Source: torch.nn.functional.huber_loss.
    """
    if not plain_form_is_needed():
        # Older torch knows no weight.
        given = {} if weight is None else {"weight": weight}
        return F.huber_loss(input, target, reduction, delta, **given)
    if weight is not None and weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    difference = input - target
    size = difference.abs()
    loss = torch.where(size < delta, difference.square() / 2, delta * (size - delta / 2))
    return reduced(loss if weight is None else loss * weight, reduction_of(reduction))


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`log(1 + exp(-target * input))`.

    Args:
        input: any shape.
        target: the same shape, 1 or -1.
        size_average: deprecated by torch in favour of `reduction`.
        reduce: deprecated by torch in favour of `reduction`.
        reduction: "none", "mean" or "sum".

    Raises:
        ValueError: there is no such reduction.

    Source: torch.nn.functional.soft_margin_loss.
    """
    if not plain_form_is_needed():
        return F.soft_margin_loss(input, target, size_average, reduce, reduction)
    loss = -F.logsigmoid(target * input)
    return reduced(loss, reduction_of(reduction, size_average, reduce))


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Minus the logarithm of the density of normal distributions.

    Args:
        input: the means, shape (..., n).
        target: the points, the same shape or one that broadcasts.
        var: the variances: one, or the shape of `input`, or that with n left out or 1.
        full: with the constant `log(2 pi) / 2`.
        eps: the least variance; a smaller one is taken for it, but its derivative is kept.
        reduction: "none", "mean" or "sum".

    Raises:
        ValueError: a variance is negative, its shape does not fit, or there is no such reduction.

    Source: torch.nn.functional.gaussian_nll_loss.
    """
    if not plain_form_is_needed():
        return F.gaussian_nll_loss(input, target, var, full, eps, reduction)
    given = var if isinstance(var, Tensor) else torch.full_like(input, var)
    if (unwrapped(given) < 0).any():
        raise ValueError("var has negative entry/entries")
    variance = _at_least(_variance_of(given, input), eps)
    loss = (variance.log() + (input - target).square() / variance) / 2
    if full:
        loss = loss + math.log(2 * math.pi) / 2
    return reduced(loss, reduction_of(reduction))


def _variance_of(var: Tensor, input: Tensor) -> Tensor:
    """In a shape that broadcasts with the means."""
    if var.shape == input.shape:
        return var
    if var.shape == input.shape[:-1]:
        return var.unsqueeze(-1)
    # As torch has it: one dimension may differ, and is 1 there.
    differing = [v for v, i in zip(var.shape, input.shape, strict=False) if v != i]
    if var.dim() != input.dim() or sum(differing) != 1:
        raise ValueError("var is of incorrect size")
    return var


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors.

    Args:
        x1: shape (..., n, ...), the vectors along `dim`.
        x2: a shape that broadcasts with it.
        dim: the dimension of the vectors, which the result has not.
        eps: the least length of a vector; a smaller one is taken for it, but its derivative is
            kept.

    Source: torch.nn.functional.cosine_similarity.
    """
    if not plain_form_is_needed():
        return F.cosine_similarity(x1, x2, dim, eps)
    shape: torch.Size = _torch.broadcast_shapes(x1.shape, x2.shape)
    first, second = (_unit_vectors(x.expand(shape), dim, eps) for x in (x1, x2))
    return (first * second).sum(dim)


def _unit_vectors(x: Tensor, dim: int, eps: float) -> Tensor:
    x = x if x.is_floating_point() else x.to(torch.get_default_dtype())
    return x / _at_least(_torch.linalg.vector_norm(x, dim=dim, keepdim=True), eps)


def _at_least(tensor: Tensor, least: float) -> Tensor:
    """`tensor`, raised to `least` as if by a constant.

    torch clamps these in place under `no_grad`. That leaves the derivative in reverse mode, but
    forward mode follows the clamping, and gives the derivative of another function.
    """
    return tensor + (tensor.clamp(min=least) - tensor).detach()

"""Pen strokes, and how they become pixels: plain tensor operations, on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CONTROL_POINTS = 4
POINTS = 48  # along each stroke: closer to each other than the pen is wide

# How much ink the middle of a stroke gets. More would make edges harder, less makes them grey.
_INK = 4.0
# A stroke is half as dark as it can be at this many standard deviations from its middle.
_EDGE = math.sqrt(2 * math.log(_INK / math.log(2)))


def stroke_shapes() -> Tensor:
    """How the points of a stroke follow from its control points, for each kind of stroke.

    Shape: (3, POINTS, CONTROL_POINTS): straight from the first control point to the last; with
    one corner, at the second; the cubic Bezier curve. Each row sums to one.
    """
    t = torch.linspace(0, 1, POINTS, dtype=torch.float32, device="cpu").unsqueeze(1)
    s, zero = 1 - t, torch.zeros_like(t)
    straight = torch.cat([s, zero, zero, t], dim=1)
    before, after = (1 - 2 * t).clamp(min=0), (2 * t - 1).clamp(min=0)
    corner = torch.cat([before, 1 - before - after, zero, after], dim=1)
    curve = torch.cat([s**3, 3 * s**2 * t, 3 * s * t**2, t**3], dim=1)
    return torch.stack([straight, corner, curve])


def trace(controls: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
    """Points along strokes, and the length of stroke that each stands for.

    Shape: controls (..., CONTROL_POINTS, 2), shapes (..., POINTS, CONTROL_POINTS)
    -> (..., POINTS, 2) and (..., POINTS).
    """
    points = shapes @ controls
    sideways, downwards = points.diff(dim=-2).unbind(dim=-1)
    halves = torch.hypot(sideways, downwards) / 2
    none = torch.zeros_like(halves[..., :1])
    return points, torch.cat([none, halves], dim=-1) + torch.cat([halves, none], dim=-1)


def draw_points(points: Tensor, lengths: Tensor, width: Tensor, size: int) -> Tensor:
    """Draw points, each of which stands for some length of stroke, with a round pen, anti-aliased.

    Each leaves a Gaussian blot, as strong as its piece of stroke is long: so a stroke is as dark
    wherever its points lie close or far apart. A blot is the product of a column and a row; all
    those of an image are one matrix product.

    Shape: points (n, p, 2) as (x, y) in [-1, 1], y downwards; lengths (n, p); width (n,) in
    pixels, where a stroke is half as dark as it can be -> (n, 1, size, size) in [0, 1], ink is 1.
    """
    pixels = torch.arange(size, dtype=points.dtype, device=points.device)
    centres = (points + 1) * (size / 2) - 0.5
    spread = (width / (2 * _EDGE))[:, None]
    unit = spread[:, :, None, None] * math.sqrt(2)
    across, down = (-(centres.unsqueeze(-1) / unit - pixels / unit).square()).exp().unbind(dim=2)
    strength = lengths * (_INK * size / 2) / (spread * math.sqrt(2 * math.pi))
    ink = (down * strength.unsqueeze(-1)).mT @ across
    return (1 - (-ink).exp()).unsqueeze(1)

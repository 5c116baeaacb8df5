"""Inventing glyphs: for each class some strokes, and where their control points lie."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from metann.tasks.strokes import CONTROL_POINTS, stroke_shapes, trace

# Of the box that every glyph fills, where the image is 2 wide: a hand may turn and shift it.
BOX = 1.3


class Alphabet(NamedTuple):
    """Glyphs, one for each of C classes, of at most S strokes."""

    controls: Tensor
    """Shape (C, S, CONTROL_POINTS, 2): as (x, y), the image being [-1, 1] either way."""
    shapes: Tensor
    """Shape (C, S, POINTS, CONTROL_POINTS): of what kind each stroke is; see `stroke_shapes`."""
    present: Tensor
    """Shape (C, S): which strokes there are."""

    def to(self, device: torch.device | str | None, dtype: torch.dtype | None) -> Alphabet:
        """The same alphabet elsewhere."""
        controls, shapes = (tensor.to(device, dtype) for tensor in self[:2])
        return Alphabet(controls, shapes, self.present.to(device))


def invent(classes: int, strokes: tuple[int, int], seed: int) -> Alphabet:
    """An alphabet that depends on these arguments alone, not on torch's default dtype or device."""
    fewest, most = strokes
    dice = torch.Generator().manual_seed(seed)
    unit = torch.rand(
        classes, most, CONTROL_POINTS, 2, generator=dice, dtype=torch.float32, device="cpu"
    )
    kinds = torch.randint(3, (classes, most), generator=dice, device="cpu")
    counts = torch.randint(fewest, most + 1, (classes, 1), generator=dice, device="cpu")
    shapes = stroke_shapes()[kinds]
    present = torch.arange(most, device="cpu") < counts
    return Alphabet(_filling_the_box(unit, shapes, present), shapes, present)


def _filling_the_box(controls: Tensor, shapes: Tensor, present: Tensor) -> Tensor:
    """The glyphs moved to the middle, and scaled until the wider side of what is drawn is BOX."""
    points, _ = trace(controls, shapes)
    absent = ~present[:, :, None, None]
    low = points.masked_fill(absent, math.inf).amin(dim=(1, 2))
    high = points.masked_fill(absent, -math.inf).amax(dim=(1, 2))
    widest = (high - low).amax(dim=1).clamp(min=1e-3)
    middle = ((high + low) / 2)[:, None, None]
    return (controls - middle) * (BOX / widest)[:, None, None, None]

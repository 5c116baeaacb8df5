"""How drawings of one glyph differ from each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metann.tasks.checks import require_ranges, require_sizes
from metann.tasks.drawing import Range, uniform


@dataclass(frozen=True)
class Hand:
    """How far a drawing may be from its glyph; what is drawn for each image lies in these ranges.

    Args:
        jitter: standard deviation of every control point, where the image is 2 wide.
        rotation: largest angle either way, in radians.
        scale: lowest and highest, of width and of height by themselves.
        shear: largest either way.
        shift: largest either way, to the side and up, where the image is 2 wide.
        width: of the pen, lowest and highest, in pixels of an image that is 28 wide.

    Raises:
        TaskError: a range is the wrong way round, or a size negative.
    """

    jitter: float = 0.05
    rotation: float = 0.3
    scale: Range = (0.8, 1.1)
    shear: float = 0.25
    shift: float = 0.2
    width: Range = (1.8, 2.8)

    def __post_init__(self) -> None:
        require_ranges(scale=self.scale, width=self.width)
        require_sizes(
            jitter=self.jitter, rotation=self.rotation, shear=self.shear, shift=self.shift
        )

    def move(self, controls: Tensor, generator: torch.Generator | None) -> Tensor:
        """Control points as so many hands would set them.

        Shape: (n, S, CONTROL_POINTS, 2) -> the same.
        """
        noise = torch.randn(
            controls.shape, generator=generator, dtype=controls.dtype, device=controls.device
        )

        def even(low: float, high: float, *shape: int) -> Tensor:
            dtype, device = controls.dtype, controls.device
            return uniform((low, high), (len(controls), *shape), generator, device, dtype)

        angle = even(-self.rotation, self.rotation)
        affine = _affine(angle, even(*self.scale, 2), even(-self.shear, self.shear))
        moved = (controls + self.jitter * noise).flatten(1, 2) @ affine
        return (moved + even(-self.shift, self.shift, 1, 2)).view_as(controls)


def _affine(angle: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """For row vectors: scaled, then sheared, then turned.

    Shape: (n,), (n, 2), (n,) -> (n, 2, 2).
    """
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    sheared = torch.stack([one, zero, shear, one], dim=-1).view(-1, 2, 2)
    turned = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], dim=-1)
    return torch.diag_embed(scale) @ sheared @ turned.view(-1, 2, 2)

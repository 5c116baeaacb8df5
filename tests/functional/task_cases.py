"""Calls of the forms that are faster than torch's batching rules, each with its operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F

from metann import functional


@dataclass(frozen=True)
class Case:
    """A call of torch's function and of ours.

    Attributes:
        torchs: the one,
        ours: and the other.
        shapes: of the operands of one task; None for one that is not given.
        options: the other arguments.
        constant: the numbers of operands that have no gradient.
    """

    torchs: Callable[..., Any]
    ours: Callable[..., Any]
    shapes: tuple[tuple[int, ...] | None, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    constant: tuple[int, ...] = ()

    def __str__(self) -> str:
        shapes = ",".join("x".join(map(str, s)) if s is not None else "None" for s in self.shapes)
        options = ",".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.torchs.__name__}({shapes},{options})"


def _linear(*shapes: tuple[int, ...]) -> Case:
    return Case(F.linear, functional.linear, shapes)


def _conv(dimensions: int, *shapes: tuple[int, ...], **options: Any) -> Case:
    torchs = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[dimensions]
    ours = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[dimensions]
    return Case(torchs, ours, shapes, options)


def _norm(*shapes: tuple[int, ...] | None, **options: Any) -> Case:
    return Case(F.batch_norm, functional.batch_norm, shapes, options, constant=(1, 2))


def _error(*shape: int, **options: Any) -> Case:
    return Case(F.mse_loss, functional.mse_loss, (shape, shape), options)


CASES: tuple[Case, ...] = (
    _linear((4, 3), (2, 3), (2,)),
    _linear((4, 3), (2, 3)),
    _linear((3,), (2, 3), (2,)),
    _linear((3,), (2, 3)),
    _linear((2, 4, 3), (2, 3), (2,)),
    _linear((2, 1, 4, 3), (2, 3)),
    _linear((0, 3), (2, 3), (2,)),
    _linear((4, 3), (3,)),
    _conv(1, (2, 3, 5), (4, 3, 2), (4,)),
    _conv(1, (3, 5), (4, 3, 2), (4,)),
    _conv(2, (2, 3, 5, 4), (4, 3, 2, 3), (4,), padding=1),
    _conv(2, (2, 3, 5, 4), (4, 3, 2, 3), stride=(2, 1), dilation=(1, 2), padding=(0, 2)),
    _conv(2, (2, 4, 5, 4), (4, 2, 3, 3), (4,), groups=2, padding="same"),
    _conv(2, (3, 5, 4), (4, 3, 2, 3), (4,)),
    _conv(3, (2, 2, 3, 3, 2), (3, 2, 2, 1, 2), (3,), stride=2, padding=1),
    _norm((5, 3), None, None, (3,), (3,), training=True),
    _norm((2, 3, 4), None, None, (3,), (3,), training=True, eps=0.1),
    _norm((2, 3, 2, 2), None, None, None, None, training=True),
    _norm((2, 3, 2, 2), None, None, (3,), None, training=True),
    _norm((2, 3, 4), (3,), (3,), (3,), (3,), training=False),
    _norm((2, 3, 4), (3,), (3,), (3,), None, training=False, eps=0.1),
    _error(4, 2),
    _error(4, 2, reduction="sum"),
    _error(4, 2, reduction="none"),
    _error(4, 2, reduction="mean", size_average=False),
    _error(),
    _error(3),
)

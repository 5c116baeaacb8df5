"""How torch's losses sum up, under their newer names and their older ones."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor

# torch's stubs do not know this module in full.
_torchs: Any = import_module("torch.nn._reduction")
NONE, MEAN, SUM = 0, 1, 2


def reduction_of(
    reduction: str, size_average: bool | None = None, reduce: bool | None = None
) -> int:
    """torch's number for a reduction; the two older arguments win if they are given.

    Raises:
        ValueError: there is no such reduction.
    """
    if size_average is not None or reduce is not None:
        return int(_torchs.legacy_get_enum(size_average, reduce))
    return int(_torchs.get_enum(reduction))


def reduced(loss: Tensor, reduction: int) -> Tensor:
    """The losses, their mean or their sum."""
    if reduction == NONE:
        return loss
    return loss.mean() if reduction == MEAN else loss.sum()

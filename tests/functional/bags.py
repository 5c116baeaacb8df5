"""The ways to call embedding bags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FLAT = torch.tensor([0, 1, 1, 4, 3, 1])
TABLE = torch.tensor([[0, 1, 1], [4, 3, 1]])


@dataclass(frozen=True)
class Bags:
    """One way.

    Attributes:
        indices: of rows, in two dimensions or in one.
        offsets: where the bags start, if in one.
        options: the other arguments.
        weighted: the rows have factors.
    """

    indices: Tensor
    offsets: tuple[int, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    weighted: bool = False

    def __str__(self) -> str:
        words = [str(list(self.indices.shape)), str(self.offsets), str(self.options)]
        return " ".join([*words, *(["weighted"] if self.weighted else [])])

    def tensors(self) -> list[Tensor]:
        """A table, and factors if there are any."""
        weight = torch.randn(5, 3)
        return [weight, torch.randn(self.indices.shape)] if self.weighted else [weight]

    def arguments(self, weight: Tensor, factors: Tensor | None = None) -> dict[str, Any]:
        """What the function is called with, without the indices."""
        offsets = None if self.offsets is None else torch.tensor(self.offsets)
        return {
            "weight": weight,
            "offsets": offsets,
            "per_sample_weights": factors,
            **self.options,
        }

    def torchs(self, weight: Tensor, factors: Tensor | None = None) -> Tensor:
        """What torch says, on a copy, as it may write into it."""
        return F.embedding_bag(self.indices, **self.arguments(weight.clone(), factors))


def _ways() -> list[Bags]:
    found = []
    places: list[tuple[Tensor, tuple[int, ...] | None, dict[str, Any]]] = [
        (TABLE, None, {}),
        (FLAT, (0, 2), {}),
        (FLAT, (0, 0, 3, 6, 6), {}),
        (FLAT, (0, 0, 2, 6), {"include_last_offset": True}),
        (FLAT, (0, 2, 4), {"include_last_offset": True}),
        (torch.tensor([], dtype=torch.long), (0, 0), {}),
        (FLAT.int(), (0, 4), {}),
    ]
    for indices, offsets, options in places:
        for mode in ("sum", "mean", "max"):
            for padding in ({}, {"padding_idx": 1}, {"padding_idx": -1}):
                found.append(Bags(indices, offsets, {**options, "mode": mode, **padding}))
        for padding in ({}, {"padding_idx": 1}):
            given = {**options, "mode": "sum", **padding}
            found.append(Bags(indices, offsets, given, weighted=True))
    for more in ({"max_norm": 0.8}, {"max_norm": 0.8, "norm_type": 1.0}):
        found += [Bags(FLAT, (0, 2), {"mode": mode, **more}) for mode in ("sum", "mean", "max")]
    return found


WAYS = _ways()
# The gradient divided by frequency is no derivative. All rows are as frequent here: for others
# torch's kernel for the CPU takes the frequency of another row (pytorch#190063).
BY_FREQUENCY = [
    Bags(
        torch.tensor([0, 1, 1, 4, 0, 4]),
        (0, 2),
        {"mode": mode, "scale_grad_by_freq": True, **padding},
    )
    for mode in ("sum", "mean")
    for padding in ({}, {"padding_idx": 1})
]
SPARSE = [
    Bags(FLAT, (0, 2), {"mode": "sum", "sparse": True}),
    Bags(FLAT, (0, 2), {"mode": "mean", "sparse": True, "padding_idx": 1}),
    Bags(TABLE, None, {"mode": "sum", "sparse": True}, weighted=True),
]

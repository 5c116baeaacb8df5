"""The ways to call scaled-dot-product attention, on random queries, keys and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

_NEVER = -float("inf")


@dataclass(frozen=True)
class Attending:
    """Shapes of query, key and value, and the other arguments; `mask` makes a mask when asked."""

    name: str
    query: tuple[int, ...] = (2, 4, 3, 6)
    key: tuple[int, ...] = (2, 4, 5, 6)
    value: tuple[int, ...] = (2, 4, 5, 6)
    mask: Callable[[], Tensor] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def tensors(self) -> list[Tensor]:
        return [torch.randn(shape) for shape in (self.query, self.key, self.value)]

    def arguments(self) -> dict[str, Any]:
        return self.options if self.mask is None else {**self.options, "attn_mask": self.mask()}

    def __str__(self) -> str:
        return self.name


def some(*shape: int) -> Tensor:
    """A mask of bool that lets each query attend to some key."""
    mask = torch.rand(shape) > 0.4
    mask[..., 0] = True
    return mask


def one_row_empty(mask: Tensor, empty: float | bool) -> Tensor:
    mask[..., 1, :] = empty
    return mask


WAYS = (
    Attending("plain"),
    Attending("as many queries as keys", query=(2, 4, 5, 6)),
    Attending("bool mask", mask=lambda: some(3, 5)),
    Attending("bool mask of each element", mask=lambda: some(2, 1, 3, 5)),
    Attending("bool mask, a row of it empty", mask=lambda: one_row_empty(some(3, 5), False)),
    Attending("float mask", mask=lambda: torch.randn(3, 5)),
    Attending("float mask of each head", mask=lambda: torch.randn(2, 4, 3, 5)),
    Attending("float mask of keys", mask=lambda: torch.randn(2, 1, 1, 5)),
    Attending("float mask, a row empty", mask=lambda: one_row_empty(torch.randn(3, 5), _NEVER)),
    Attending("causal", options={"is_causal": True}),
    Attending("causal, fewer keys", query=(2, 4, 7, 6), options={"is_causal": True}),
    Attending("causal and mask", mask=lambda: torch.randn(3, 5), options={"is_causal": True}),
    Attending("causal and bool mask", mask=lambda: some(3, 5), options={"is_causal": True}),
    Attending("scale", options={"scale": 0.3}),
    Attending("shared heads", (2, 4, 3, 6), (2, 2, 5, 6), (2, 2, 5, 6), None, {"enable_gqa": True}),
    Attending(
        "shared heads, causal, mask",
        (2, 4, 3, 6),
        (2, 2, 5, 6),
        (2, 2, 5, 6),
        lambda: torch.randn(3, 5),
        {"enable_gqa": True, "is_causal": True, "scale": 0.7},
    ),
    Attending(
        "values shared by more", value=(2, 1, 5, 6), key=(2, 2, 5, 6), options={"enable_gqa": True}
    ),
    Attending("other width of values", value=(2, 4, 5, 3)),
    Attending("no axis of heads", (4, 3, 6), (4, 5, 6), (4, 5, 6)),
    Attending("matrices", (3, 6), (5, 6), (5, 6), lambda: some(3, 5)),
    Attending("two axes of batches", (2, 2, 1, 3, 6), (2, 2, 1, 5, 6), (2, 2, 1, 5, 6)),
    Attending("keys for all batches", key=(1, 4, 5, 6), value=(1, 4, 5, 6)),
)

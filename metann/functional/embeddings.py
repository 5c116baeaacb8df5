"""Rows of a table, and sums, means and maxima of bags of them, in plain operations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.derivatives import supply
from metann.functional.embedding_gradients import MODES, bags_of
from metann.functional.transforms import plain_form_is_needed

# torch's stubs do not know these in full.
_torch: Any = import_module("torch")


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` that `input` names.

    Inside a transform the row of the padding has no derivative in forward mode either, rows are
    shortened without writing into `weight`, and the gradient is dense. The division by frequency
    belongs to the gradient alone: in forward mode there is none.

    Args:
        input: indices, any shape.
        weight: shape (V, D).
        padding_idx: the row that gets no gradient.
        max_norm: to which length longer rows are shortened; the factor counts as a constant.
        norm_type: of that length.
        scale_grad_by_freq: divide the gradient of a row by how often `input` names it.
        sparse: make the gradient of `weight` a sparse tensor.

    Returns:
        shape (*input, D).

    Source: torch.nn.functional.embedding.
    """
    if not plain_form_is_needed():
        supply()
        return F.embedding(
            input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        )
    rows = torch.embedding(weight, input, -1, scale_grad_by_freq, False)
    if padding_idx is not None:
        is_padding = input == _counted_from_0(padding_idx, weight)
        rows = torch.where(is_padding.unsqueeze(-1), rows.detach(), rows)
    return rows if max_norm is None else _shortened(rows, max_norm, norm_type)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of each bag of rows of `weight`; zeros for an empty bag.

    Args:
        input: indices, shape (B, N), or (N,) with offsets.
        weight: shape (V, D).
        offsets: shape (B,) or, with `include_last_offset`, (B + 1,): where each bag starts.
        max_norm: as in `embedding`.
        norm_type: as in `embedding`.
        scale_grad_by_freq: as in `embedding`.
        mode: "sum", "mean" or "max".
        sparse: as in `embedding`.
        per_sample_weights: the shape of `input`: factors of the rows, for "sum" only.
        include_last_offset: `offsets` ends with the end of the last bag.
        padding_idx: the row that is left out of the bags.

    Returns:
        shape (B, D).

    Raises:
        ValueError: the arguments do not go together.

    Source: torch.nn.functional.embedding_bag.
    """
    if not plain_form_is_needed():
        supply()
        return F.embedding_bag(
            input,
            weight,
            offsets,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            per_sample_weights,
            include_last_offset,
            padding_idx,
        )
    _require_fitting(input, offsets, mode, per_sample_weights)
    if offsets is None:
        offsets = torch.arange(input.shape[0], device=input.device) * input.shape[1]
        include_last_offset = False
    size = offsets.shape[0] - include_last_offset
    indices = input.reshape(-1)
    rows = torch.embedding(weight, indices, -1, scale_grad_by_freq, False)
    if max_norm is not None:
        rows = _shortened(rows, max_norm, norm_type)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    counts = torch.ones_like(indices, dtype=torch.bool)
    if padding_idx is not None:
        counts = indices != _counted_from_0(padding_idx, weight)
    bags = bags_of(offsets, indices.shape[0], size)
    return _reduced(rows, counts.unsqueeze(-1), bags, size, mode)


def _reduced(rows: Tensor, counts: Tensor, bags: Tensor, size: int, mode: str) -> Tensor:
    """Sums, means or maxima over those rows of each bag that count."""
    if mode == "max":
        return _maxima(rows, counts, bags, size)
    total = rows.new_zeros(size, rows.shape[-1]).index_add(0, bags, rows.where(counts, 0.0))
    if mode == "sum":
        return total
    number = rows.new_zeros(size, 1).index_add(0, bags, counts.to(rows.dtype))
    return total / number.clamp(min=1)


def _maxima(rows: Tensor, counts: Tensor, bags: Tensor, size: int) -> Tensor:
    """The first largest of each column, as torch takes it; the derivative goes to it alone."""
    number, width = rows.shape
    values = rows.detach().where(counts, -torch.inf)
    columns = bags.unsqueeze(-1).expand(number, width)
    lowest = values.new_full((size, width), -torch.inf)
    largest = lowest.scatter_reduce(0, columns, values, "amax").gather(0, columns)
    is_one = ((values == largest) | values.isnan()) & counts
    places = torch.arange(number, device=rows.device).unsqueeze(-1).where(is_one, number)
    nowhere = places.new_full((size, width), number)
    first = nowhere.scatter_reduce(0, columns, places, "amin")
    return torch.cat([rows, rows.new_zeros(1, width)]).gather(0, first)


def _shortened(rows: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """As torch.embedding_renorm_ leaves them, with the derivative that torch gives: rows' own."""
    values = rows.detach()
    norms: Tensor = _torch.linalg.vector_norm(values, norm_type, dim=-1, keepdim=True)
    short = torch.where(norms > max_norm, values * (max_norm / (norms + 1e-7)), values)
    return rows + (short - values)


def _counted_from_0(padding_idx: int, weight: Tensor) -> int:
    if not -weight.shape[0] <= padding_idx < weight.shape[0]:
        raise ValueError(f"padding_idx {padding_idx} is no row of {weight.shape[0]}")
    return padding_idx % weight.shape[0]


def _require_fitting(
    input: Tensor, offsets: Tensor | None, mode: str, per_sample_weights: Tensor | None
) -> None:
    """Raise where torch does."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if input.dim() != (2 if offsets is None else 1):
        raise ValueError(
            "the indices must be of 2 dimensions without offsets or of 1 with them, got "
            f"{input.dim()} {'without' if offsets is None else 'with'} offsets"
        )
    if per_sample_weights is None:
        return
    if mode != "sum":
        raise ValueError(f"per_sample_weights need mode='sum', got {mode!r}")
    if per_sample_weights.shape != input.shape:
        raise ValueError(
            f"per_sample_weights must have the shape of the indices, {tuple(input.shape)}, got "
            f"{tuple(per_sample_weights.shape)}"
        )

"""Scaled-dot-product attention in plain operations."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.precision import autocast_dtype, lowered, without_autocast
from metann.functional.transforms import plain_form_is_needed


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention of `query` over `key` and `value`.

    Args:
        query: shape (..., Hq, L, E).
        key: shape (..., H, S, E).
        value: shape (..., H, S, Ev).
        attn_mask: shape broadcastable to (..., Hq, L, S): boolean, true where attention takes
            place, or to be added to the scores.
        dropout_p: probability with which a weight of the attention is dropped.
        is_causal: each query attends only to keys at or before its own position.
        scale: of the scores; 1 / sqrt(E) if None.
        enable_gqa: `Hq` may be a multiple of `H`; heads of key and value are shared.

    Returns:
        shape (..., Hq, L, Ev); zeros for a query that may attend to nothing.

    Source: torch.nn.functional.scaled_dot_product_attention.
    """
    if not plain_form_is_needed():
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    device = query.device.type
    dtype = autocast_dtype(device)
    query, key, value = lowered(query, dtype), lowered(key, dtype), lowered(value, dtype)
    attn_mask = lowered(attn_mask, dtype)
    with without_autocast(device):
        if enable_gqa:
            key, value = shared_by(query, key), shared_by(query, value)
        weights = attention_weights(query, key, attn_mask, is_causal, scale)
        if dropout_p != 0:
            weights = F.dropout(weights, dropout_p)
        return (weights @ value.to(weights.dtype)).to(query.dtype)


def attention_weights(
    query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """How much each query attends to each key: rows that sum to 1, or to 0 if all is masked.

    In float32 for queries of half precision, as torch's kernels compute them.
    """
    precise = torch.promote_types(query.dtype, torch.float32)
    scores = (query.to(precise) @ key.to(precise).mT) * score_factor(query, scale)
    if is_causal:
        earlier = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
        scores = scores.masked_fill(~earlier, -math.inf)
    if attn_mask is None:
        return scores.softmax(-1)
    if attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    else:
        scores = scores + attn_mask
    is_empty = (scores == -math.inf).all(-1, keepdim=True)
    return scores.masked_fill(is_empty, 0.0).softmax(-1).masked_fill(is_empty, 0.0)


def score_factor(query: Tensor, scale: float | None) -> float:
    """What the products of queries and keys are multiplied with."""
    return max(query.shape[-1], 1) ** -0.5 if scale is None else scale


def shared_by(query: Tensor, heads: Tensor) -> Tensor:
    """Repeat heads of keys or values so that each head of the queries has one."""
    return heads.repeat_interleave(query.shape[-3] // heads.shape[-3], dim=-3)

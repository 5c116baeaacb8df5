"""Scaled-dot-product attention in plain operations."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from metann.functional.attention_weights import attention_weights, shared_by
from metann.functional.derivatives import supply
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
    supply()
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

"""What all forms of attention compute first: how much each query attends to each key."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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

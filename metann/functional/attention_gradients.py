"""The backward passes of torch's attention kernels, as computations that can be differentiated.

Each takes the arguments of torch's operator of nearly the same name. The weights of the attention
are computed again, in the plain way, from queries and keys; what the kernel kept is not used.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from metann.errors import NoSecondOrderError
from metann.functional.attention_weights import attention_weights, score_factor, shared_by
from metann.functional.precision import without_autocast


def flash_attention_for_cpu_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    logsumexp: Tensor,
    dropout_p: float,
    is_causal: bool,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> Any:
    """The gradients of query, key and value; this kernel has no dropout."""
    return _gradients(grad_out, query, key, value, attn_mask, is_causal, scale)[:3]


def flash_attention_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    logsumexp: Tensor,
    cum_seq_q: Tensor | None,
    cum_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    dropout_p: float,
    is_causal: bool,
    philox_seed: Tensor,
    philox_offset: Tensor,
    scale: float | None = None,
) -> Any:
    """The gradients of query, key and value.

    Raises:
        NoSecondOrderError: with dropout, as no other kernel can draw the same mask again.
    """
    _refuse_dropout(dropout_p)
    return _gradients(grad_out, query, key, value, None, is_causal, scale)[:3]


def efficient_attention_backward(
    grad_out_: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None,
    out: Tensor,
    logsumexp: Tensor,
    philox_seed: Tensor,
    philox_offset: Tensor,
    dropout_p: float,
    grad_input_mask: list[bool],
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """The gradients of query, key, value and the mask.

    Raises:
        NoSecondOrderError: with dropout, as no other kernel can draw the same mask again.
    """
    _refuse_dropout(dropout_p)
    *found, grad_scores = _gradients(grad_out_, query, key, value, attn_bias, is_causal, scale)
    if attn_bias is not None and grad_input_mask[3]:
        found.append(grad_scores.sum_to_size(attn_bias.shape).to(attn_bias.dtype))
    return (*found, None)[:4]


def cudnn_attention_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    logsumexp: Tensor,
    philox_seed: Tensor,
    philox_offset: Tensor,
    attn_bias: Tensor | None,
    cum_seq_q: Tensor | None,
    cum_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    dropout_p: float,
    is_causal: bool,
    scale: float | None = None,
) -> Any:
    """The gradients of query, key and value.

    Raises:
        NoSecondOrderError: with dropout, as no other kernel can draw the same mask again.
    """
    _refuse_dropout(dropout_p)
    return _gradients(grad_out, query, key, value, attn_bias, is_causal, scale)[:3]


def _gradients(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    is_causal: bool,
    scale: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of query, key and value, each in the shape and precision of its own, and of the scores."""
    with without_autocast(query.device.type):
        keys, values = shared_by(query, key), shared_by(query, value)
        weights = attention_weights(query, keys, attn_mask, is_causal, scale)
        grad_out, queries, keys, values = (
            t.to(weights.dtype) for t in (grad_out, query, keys, values)
        )
        grad_weights = grad_out @ values.mT
        grad_scores = weights * (grad_weights - (grad_weights * weights).sum(-1, keepdim=True))
        factor = score_factor(query, scale)
        return (
            (grad_scores @ keys * factor).to(query.dtype),
            _gathered(grad_scores.mT @ queries * factor, key),
            _gathered(weights.mT @ grad_out, value),
            grad_scores,
        )


def _gathered(gradient: Tensor, heads: Tensor) -> Tensor:
    """The gradient of shared heads: the sum over the heads that share each."""
    if gradient.shape[-3] != heads.shape[-3]:
        *batch, _, length, width = gradient.shape
        gradient = gradient.reshape(*batch, heads.shape[-3], -1, length, width).sum(-3)
    return gradient.to(heads.dtype)


def _refuse_dropout(dropout_p: float) -> None:
    if dropout_p != 0:
        raise NoSecondOrderError(
            f"asked for a second derivative of attention that a fused kernel computed with dropout "
            f"{dropout_p}: the weights that it dropped are not known any more. Compute the forward "
            "in `with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):`, or "
            "without dropout (`dropout=0.0`, or in eval mode)."
        )

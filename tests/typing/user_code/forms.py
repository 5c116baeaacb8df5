"""metann.functional: forms of torch's operations, with the types of torch's functions."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import assert_type

from metann import functional


def losses(x: Tensor, target: Tensor) -> None:
    assert_type(functional.huber_loss(x, target, delta=0.5), Tensor)
    assert_type(functional.multi_margin_loss(x, target), Tensor)
    assert_type(functional.soft_margin_loss(x, target, reduction="sum"), Tensor)
    assert_type(functional.cosine_similarity(x, target, dim=-1), Tensor)


def attention(x: Tensor) -> None:
    assert_type(functional.scaled_dot_product_attention(x, x, x, is_causal=True), Tensor)


def embeddings(x: Tensor, weight: Tensor) -> None:
    assert_type(functional.embedding(x, weight, padding_idx=0), Tensor)
    assert_type(functional.embedding_bag(x, weight, x), Tensor)

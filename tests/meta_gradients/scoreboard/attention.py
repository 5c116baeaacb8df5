"""Attention: layers of torch, and a user's own call of torch's function."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from scoreboard.case import Case, normal, normals

_SIZES = (4, 2, 3)  # d_model, nhead, dim_feedforward


class Block(nn.Module):
    """Somebody's own causal attention, as in a small GPT: `(n, length, 4)` to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(4, 12)
        self.out = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        by_heads = self.into(x).unflatten(-1, (3, 2, 2)).movedim(-3, 0).transpose(-2, -3)
        query, key, value = by_heads
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(attended.transpose(-2, -3).flatten(-2))


def encoder() -> nn.Module:
    """Two layers: `(n, length, 4)` to the same."""
    layer = nn.TransformerEncoderLayer(*_SIZES, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


def transformer() -> nn.Module:
    """One layer on each side."""
    return nn.Transformer(4, 2, 1, 1, 3, dropout=0.0, batch_first=True)


encoder_layer = partial(nn.TransformerEncoderLayer, *_SIZES, dropout=0.0)
decoder_layer = partial(nn.TransformerDecoderLayer, *_SIZES, dropout=0.0)
_attention = partial(nn.MultiheadAttention, 4, 2)
_THREE = normals((3, 2, 4), (5, 2, 4), (5, 2, 4))
_PAIR = normals((2, 3, 4), (2, 2, 4))

ATTENTION = (
    Case("MultiheadAttention", _attention, _THREE),
    Case(
        "MultiheadAttention, need_weights=False",
        _attention,
        _THREE,
        options={"need_weights": False},
    ),
    Case("a user's scaled_dot_product_attention", Block, normal(2, 3, 4)),
    Case("TransformerEncoderLayer", encoder_layer, normal(3, 2, 4)),
    Case("TransformerDecoderLayer", decoder_layer, normals((3, 2, 4), (2, 2, 4))),
    Case("TransformerEncoder", encoder, normal(2, 3, 4)),
    Case("Transformer", transformer, _PAIR),
)

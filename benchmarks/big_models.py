"""Models of known sizes, written in plain torch: what is converted and called here."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def two_hundred() -> nn.Sequential:
    """200 modules: itself, 39 blocks of five, and four more."""
    blocks = [
        nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))
        for _ in range(39)
    ]
    return nn.Sequential(*blocks, nn.Linear(8, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))


# ── ResNet-18 ────────────────────────────────────────────────────────────────────────────────


class BasicBlock(nn.Module):
    """Two convolutions and what goes past them (He et al., arXiv 1512.03385, figure 5)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outer)
        self.second = nn.Conv2d(outer, outer, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outer)
        self.past = nn.Sequential()
        if stride > 1 or inner != outer:
            self.past = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, inner, H, W) -> (N, outer, H / stride, W / stride)."""
        h = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(h)) + self.past(x))


class ResNet18(nn.Module):
    """The residual net of 18 layers, 11.7 million weights (arXiv 1512.03385, table 1)."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
        )
        widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
        self.blocks = nn.Sequential(
            *(BasicBlock(inner, outer, 1 + (inner != outer)) for inner, outer in pairwise(widths))
        )
        self.head = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, 3, H, W) -> (N, classes)."""
        return cast(Tensor, self.head(self.blocks(self.stem(x)).mean((2, 3))))


# ── GPT-2 ────────────────────────────────────────────────────────────────────────────────────


class Attention(nn.Module):
    """Causal attention of several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, T, width) -> (N, T, width)."""
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in self.inputs(x).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return cast(Tensor, self.output(mixed.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """Attention and two linear layers, each after a normalisation and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.second_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, T, width) -> (N, T, width)."""
        x = x + self.attention(self.norm(x))
        return x + cast(Tensor, self.mlp(self.second_norm(x)))


class GPT2(nn.Module):
    """The smallest GPT-2 of Radford et al. (2019): 124 million weights, the embedding tied."""

    def __init__(
        self, words: int = 50257, longest: int = 1024, width: int = 768, layers: int = 12
    ) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(longest, width)
        self.blocks = nn.Sequential(*(Block(width, width // 64) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape: (N, T) -> (N, T, words)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        h = self.blocks(self.words(tokens) + self.places(places))
        return cast(Tensor, self.head(self.norm(h)))

"""What random trees end in: layers of torch and users' classes, `(n, 4)` to `(n, 4)`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm
from tree_classes import (
    WIDTH,
    Gains,
    OtherKinds,
    OwnGetattr,
    OwnLinear,
    Patched,
    ReadingAll,
    Rowed,
    Shaped,
    Tracking,
    Twins,
)

Make = Callable[[], nn.Module]
_ROWS = (2, 0, 4)


def linear() -> nn.Linear:
    return nn.Linear(WIDTH, WIDTH)


def lazy() -> nn.Module:
    made = nn.LazyLinear(WIDTH)
    made(torch.randn(1, WIDTH))
    return made


def half_frozen() -> nn.Module:
    made = linear()
    made.weight.requires_grad_(False)
    return made


def bags() -> nn.Module:
    return Rowed(nn.EmbeddingBag(5, WIDTH, mode="mean"), torch.tensor([[0, 1], [4, 4], [2, 3]]))


class Positive(nn.Module):
    """A parametrization of the user's, with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.rand(()) + 0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return nn.functional.softplus(weight * self.slope)


class Halved(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight * 2


def stacked() -> nn.Module:
    made = linear()
    parametrize.register_parametrization(made, "weight", Halved())
    parametrize.register_parametrization(made, "weight", Positive())
    parametrize.register_parametrization(made, "bias", Halved())
    return made


def old_style(norm: Callable[..., nn.Module]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Deprecated, and still in use.
        return norm(linear())


def pruned() -> nn.Module:
    made = linear()
    prune.l1_unstructured(made, "weight", amount=0.3)
    return made


def weights() -> dict[str, Make]:
    """Layers of torch with weights."""
    return {
        "Linear": linear,
        "LinearWithoutBias": partial(nn.Linear, WIDTH, WIDTH, bias=False),
        "Bilinear": lambda: Shaped(nn.Bilinear(WIDTH, WIDTH, WIDTH), WIDTH, times=2),
        "Conv1d": lambda: Shaped(nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), 2, 2),
        "Conv2d": lambda: Shaped(nn.Conv2d(1, 1, 3, padding="same"), 1, 2, 2),
        "ConvTranspose1d": lambda: Shaped(nn.ConvTranspose1d(2, 2, 3, padding=1), 2, 2),
        "LayerNorm": partial(nn.LayerNorm, WIDTH),
        "GroupNorm": partial(nn.GroupNorm, 2, WIDTH),
        "RMSNorm": partial(nn.RMSNorm, WIDTH),
        "PReLU": partial(nn.PReLU, WIDTH),
        "Embedding": lambda: Rowed(nn.Embedding(5, WIDTH, padding_idx=4), torch.tensor(_ROWS)),
        "EmbeddingBag": bags,
        "LazyLinear": lazy,
        "HalfFrozen": half_frozen,
    }


def with_buffers() -> dict[str, Make]:
    return {
        "BatchNorm1d": partial(nn.BatchNorm1d, WIDTH),
        "BatchNormOfAll": partial(nn.BatchNorm1d, WIDTH, momentum=None, affine=False),
        "BatchNormUntracked": partial(nn.BatchNorm1d, WIDTH, track_running_stats=False),
        "BatchNorm2d": lambda: Shaped(nn.BatchNorm2d(2), 2, 2, 1),
        "InstanceNorm1d": lambda: Shaped(
            nn.InstanceNorm1d(2, affine=True, track_running_stats=True), 2, 2
        ),
    }


def composite() -> dict[str, Make]:
    """Recurrent layers, and those made of others."""
    heads: dict[str, Any] = {"dropout": 0.2, "batch_first": True}
    return {
        "LSTM": lambda: Shaped(nn.LSTM(2, 2, 2, dropout=0.3, batch_first=True), 2, 2),
        "GRU": lambda: Shaped(nn.GRU(2, 1, batch_first=True, bidirectional=True), 2, 2),
        "RNN": lambda: Shaped(nn.RNN(2, 2, bias=False, batch_first=True), 2, 2),
        "LSTMCell": lambda: Shaped(nn.LSTMCell(WIDTH, WIDTH), WIDTH),
        "GRUCell": lambda: Shaped(nn.GRUCell(WIDTH, WIDTH), WIDTH),
        "MultiheadAttention": lambda: Shaped(nn.MultiheadAttention(2, 1, **heads), 2, 2, times=3),
        "TransformerEncoderLayer": lambda: Shaped(
            nn.TransformerEncoderLayer(2, 1, 3, **heads), 2, 2
        ),
        "TransformerDecoderLayer": lambda: Shaped(
            nn.TransformerDecoderLayer(2, 1, 3, **heads), 2, 2, times=2
        ),
    }


def without_weights() -> dict[str, Make]:
    return {
        "Tanh": nn.Tanh,
        "GELU": nn.GELU,
        "Softplus": nn.Softplus,
        "Softmax": partial(nn.Softmax, -1),
        "Identity": nn.Identity,
        "Dropout": partial(nn.Dropout, 0.3),
        "AlphaDropout": partial(nn.AlphaDropout, 0.3),
        "Dropout1d": lambda: Shaped(nn.Dropout1d(0.3), 2, 2),
        "InPlace": lambda: nn.Sequential(linear(), nn.Dropout(0.3, True), nn.ELU(inplace=True)),
    }


def parametrized() -> dict[str, Make]:
    return {
        "WeightNorm": lambda: parametrizations.weight_norm(linear()),
        "SpectralNorm": lambda: parametrizations.spectral_norm(linear()),
        "Orthogonal": lambda: parametrizations.orthogonal(linear()),
        "Stacked": stacked,
        "OldWeightNorm": partial(old_style, weight_norm),
        "OldSpectralNorm": partial(old_style, spectral_norm),
        "Pruned": pruned,
    }


def own() -> dict[str, Make]:
    kinds = (OwnLinear, Gains, OtherKinds, Tracking, ReadingAll, Twins, Patched, OwnGetattr)
    return {
        kind.__name__: partial(kind, WIDTH, WIDTH) if kind is OwnLinear else kind for kind in kinds
    }


LEAVES: dict[str, Make] = {
    **weights(),
    **with_buffers(),
    **composite(),
    **without_weights(),
    **parametrized(),
    **own(),
}

"""Layers of torch, each alone."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from scoreboard.case import Case, normal, normals, rows


def _with_targets() -> tuple[Tensor, Tensor]:
    """A target in the head and one in each of the two tails."""
    return torch.randn(4, 6), torch.tensor([0, 3, 6, 1])


def _with_two_states() -> tuple[Tensor, tuple[Tensor, Tensor]]:
    return torch.randn(2, 3), (torch.randn(2, 4), torch.randn(2, 4))


_circular = partial(nn.Conv2d, 2, 2, 3, padding=1, padding_mode="circular")
_both_ways = partial(nn.LSTM, 3, 2, num_layers=2, bidirectional=True)
_softmax = partial(nn.AdaptiveLogSoftmaxWithLoss, 6, 8, [2, 5], div_value=1.5)

FEEDFORWARD = (
    Case("Linear", partial(nn.Linear, 3, 2), normal(5, 3)),
    Case("Linear, bias is None", partial(nn.Linear, 3, 2, bias=False), normal(5, 3)),
    Case("Bilinear", partial(nn.Bilinear, 2, 3, 2), normals((5, 2), (5, 3))),
    Case("PReLU", partial(nn.PReLU, 3), normal(5, 3)),
    Case("Conv1d", partial(nn.Conv1d, 2, 3, 2), normal(2, 2, 5)),
    Case("Conv2d, in groups", partial(nn.Conv2d, 2, 4, 2, groups=2), normal(2, 2, 4, 3)),
    Case("Conv2d, circular", _circular, normal(1, 2, 3, 3)),
    Case("Conv3d", partial(nn.Conv3d, 1, 2, 2), normal(1, 1, 3, 3, 3)),
    Case("ConvTranspose1d", partial(nn.ConvTranspose1d, 2, 3, 2, stride=2), normal(2, 2, 4)),
    Case("ConvTranspose2d", partial(nn.ConvTranspose2d, 2, 3, 2), normal(2, 2, 3, 3)),
    Case("ConvTranspose3d", partial(nn.ConvTranspose3d, 1, 2, 2), normal(1, 1, 2, 3, 2)),
    Case("LayerNorm", partial(nn.LayerNorm, 4), normal(3, 4)),
    Case("GroupNorm", partial(nn.GroupNorm, 2, 4), normal(2, 4, 3)),
    Case("InstanceNorm", partial(nn.InstanceNorm1d, 3, affine=True), normal(2, 3, 4)),
    Case("RMSNorm", partial(nn.RMSNorm, 4), normal(3, 4)),
    Case("Embedding", partial(nn.Embedding, 5, 3), rows(2, 4, of=5)),
    Case("EmbeddingBag", partial(nn.EmbeddingBag, 5, 3), rows(2, 4, of=5)),
    Case("AdaptiveLogSoftmaxWithLoss", _softmax, _with_targets),
)

RECURRENT = (
    Case("RNN", partial(nn.RNN, 3, 2), normal(4, 2, 3)),
    Case("LSTM", partial(nn.LSTM, 3, 2), normal(4, 2, 3)),
    Case("GRU", partial(nn.GRU, 3, 2), normal(4, 2, 3)),
    Case("LSTM, two layers, bidirectional", _both_ways, normal(3, 2, 3)),
    Case("LSTM with a projection", partial(nn.LSTM, 3, 4, proj_size=2), normal(3, 2, 3)),
    Case("GRU, bidirectional", partial(nn.GRU, 3, 2, bidirectional=True), normal(3, 2, 3)),
    Case("RNNCell", partial(nn.RNNCell, 3, 4), normals((2, 3), (2, 4))),
    Case("LSTMCell", partial(nn.LSTMCell, 3, 4), _with_two_states),
    Case("GRUCell", partial(nn.GRUCell, 3, 4), normals((2, 3), (2, 4))),
)

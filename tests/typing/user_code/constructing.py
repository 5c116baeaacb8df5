"""Counterparts are constructed as torch's layers are, and their attributes have types."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import assert_type

from metann import DependentModule
from metann.generated import (
    DependentBatchNorm1d,
    DependentConv2d,
    DependentLinear,
    DependentLSTM,
    DependentLSTMCell,
    DependentMultiheadAttention,
    DependentTransformerEncoderLayer,
)


def arguments_by_place_and_by_name() -> None:
    assert_type(DependentLinear(3, 4), DependentLinear)
    assert_type(DependentLinear(3, 4, False, "cpu", torch.float64), DependentLinear)
    assert_type(DependentLSTM(input_size=3, hidden_size=4, batch_first=True), DependentLSTM)
    DependentLinear(in_features=3, out_features=4, bias=True, device=None, dtype=None)
    DependentLinear(3, 4, device=torch.device("meta"))
    DependentConv2d(1, 2, (3, 3), padding="same", padding_mode="reflect")
    DependentConv2d(in_channels=1, out_channels=2, kernel_size=3, stride=(1, 2), groups=1)
    DependentBatchNorm1d(4, momentum=None, track_running_stats=False)


def weights() -> None:
    linear, norm = DependentLinear(3, 4), DependentBatchNorm1d(4)
    assert_type(linear.weight, Tensor)
    assert_type(linear.bias, Tensor | None)
    assert_type(norm.weight, Tensor | None)
    assert_type(norm.running_mean, Tensor | None)
    assert_type(DependentLSTMCell(3, 4).bias_hh, Tensor | None)
    linear.weight = linear.weight * 2
    linear.bias = None
    print(linear.weight.grad_fn)


def settings() -> None:
    linear, conv = DependentLinear(3, 4), DependentConv2d(1, 2, 3)
    assert_type(linear.in_features, int)
    assert_type(conv.kernel_size, tuple[int, ...])
    assert_type(conv.padding, str | tuple[int, ...])
    assert_type(linear.training, bool)


def children() -> None:
    encoder = DependentTransformerEncoderLayer(8, 2)
    assert_type(encoder.linear1, DependentLinear)
    assert_type(encoder.self_attn, DependentMultiheadAttention)
    assert_type(encoder.self_attn.out_proj.weight, Tensor)


def places_for_torchs_modules(linear: DependentLinear) -> None:
    """Whoever asks for a module of torch, or for a dependent one, can have it."""
    plain: nn.Linear = linear
    dependent: DependentModule = linear
    assert_type(linear.train(), DependentLinear)
    assert_type(linear.to("cpu"), DependentLinear)
    print(plain, dependent)

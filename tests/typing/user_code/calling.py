"""What calls of layers return, and what their attributes are."""

from __future__ import annotations

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from typing_extensions import assert_type

from metann.generated import DependentConv2d, DependentLinear, DependentLSTM


def feed_forward_layers(x: Tensor) -> None:
    linear = DependentLinear(3, 4)
    assert_type(linear, DependentLinear)
    assert_type(linear(x), Tensor)
    assert_type(linear.weight, Tensor)
    assert_type(linear.bias, Tensor | None)
    assert_type(DependentConv2d(1, 2, kernel_size=3)(x), Tensor)


def recurrent_layers(x: Tensor, packed: PackedSequence) -> None:
    lstm = DependentLSTM(3, 4, num_layers=2)
    assert_type(lstm(x), tuple[Tensor, tuple[Tensor, Tensor]])
    assert_type(lstm(packed), tuple[PackedSequence, tuple[Tensor, Tensor]])

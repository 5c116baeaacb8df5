"""What a call of each kind of layer returns: never Any."""

from __future__ import annotations

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from typing_extensions import assert_type

from metann.generated import (
    DependentAdaptiveLogSoftmaxWithLoss,
    DependentBatchNorm2d,
    DependentBilinear,
    DependentConv2d,
    DependentCrossEntropyLoss,
    DependentDropout,
    DependentEmbedding,
    DependentEmbeddingBag,
    DependentFlatten,
    DependentGRU,
    DependentGRUCell,
    DependentLayerNorm,
    DependentLinear,
    DependentLSTM,
    DependentLSTMCell,
    DependentMultiheadAttention,
    DependentReLU,
    DependentRNN,
    DependentRNNCell,
    DependentTransformerEncoderLayer,
    DependentUpsample,
)


def layers_without_state(x: Tensor) -> None:
    assert_type(DependentReLU()(x), Tensor)
    assert_type(DependentDropout(0.5)(x), Tensor)
    assert_type(DependentFlatten(start_dim=1)(x), Tensor)
    assert_type(DependentUpsample(scale_factor=2.0)(x), Tensor)
    assert_type(DependentCrossEntropyLoss()(x, x), Tensor)
    assert_type(DependentAdaptiveLogSoftmaxWithLoss(4, 9, [3])(x, x).loss, Tensor)


def layers_with_weights(x: Tensor) -> None:
    assert_type(DependentLinear(3, 4)(x), Tensor)
    assert_type(DependentLinear(3, 4).forward(x), Tensor)
    assert_type(DependentBilinear(3, 4, 5)(x, x), Tensor)
    assert_type(DependentConv2d(1, 2, 3)(x), Tensor)
    assert_type(DependentBatchNorm2d(2)(x), Tensor)
    assert_type(DependentLayerNorm(4)(x), Tensor)
    assert_type(DependentEmbedding(5, 4)(x), Tensor)
    assert_type(DependentEmbeddingBag(5, 4)(x, offsets=x), Tensor)


def recurrent_layers(x: Tensor, packed: PackedSequence) -> None:
    lstm, gru = DependentLSTM(3, 4), DependentGRU(3, 4)
    assert_type(lstm(x), tuple[Tensor, tuple[Tensor, Tensor]])
    assert_type(lstm(x, (x, x)), tuple[Tensor, tuple[Tensor, Tensor]])
    assert_type(lstm(packed), tuple[PackedSequence, tuple[Tensor, Tensor]])
    assert_type(gru(x), tuple[Tensor, Tensor])
    assert_type(gru(packed, x), tuple[PackedSequence, Tensor])
    assert_type(DependentRNN(3, 4)(x), tuple[Tensor, Tensor])


def recurrent_cells(x: Tensor) -> None:
    assert_type(DependentRNNCell(3, 4)(x), Tensor)
    assert_type(DependentGRUCell(3, 4)(x, x), Tensor)
    assert_type(DependentLSTMCell(3, 4)(x), tuple[Tensor, Tensor])


def attention(x: Tensor) -> None:
    attend = DependentMultiheadAttention(8, 2, batch_first=True)
    assert_type(attend(x, x, x), tuple[Tensor, Tensor | None])
    assert_type(attend(query=x, key=x, value=x, need_weights=False)[0], Tensor)
    assert_type(DependentTransformerEncoderLayer(8, 2)(x, is_causal=True), Tensor)

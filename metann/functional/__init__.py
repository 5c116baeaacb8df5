"""Forms of torch's operations that have every derivative and a batching rule.

The functions here take the arguments of torch's functions of the same names and return the same
numbers. Outside of transforms they call torch's own kernel, whose second derivative `derivatives`
supplies; inside `torch.vmap` and forward-mode differentiation they use plain operations. Which
operation is replaced by which, and why, stands in `metann.replaced`.
"""

from metann.functional.activations import hardsigmoid, rrelu
from metann.functional.attention import scaled_dot_product_attention
from metann.functional.batch_norm import batch_norm
from metann.functional.cells import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell
from metann.functional.convolutions import conv1d, conv2d, conv3d
from metann.functional.ctc import ctc_loss
from metann.functional.embeddings import embedding, embedding_bag
from metann.functional.linear import linear
from metann.functional.linear_cross_entropy import linear_cross_entropy
from metann.functional.losses import (
    cosine_similarity,
    gaussian_nll_loss,
    huber_loss,
    soft_margin_loss,
)
from metann.functional.margins import multi_margin_loss, multilabel_margin_loss
from metann.functional.multi_head_attention import multi_head_attention_forward
from metann.functional.nested import nested_tensor_from_mask_left_aligned
from metann.functional.packing import (
    pack_padded_sequence,
    pad_packed_sequence,
    pad_sequence,
)
from metann.functional.parametrizing import householder_product, normalize, weight_norm
from metann.functional.recurrent import gru, lstm, rnn_relu, rnn_tanh
from metann.functional.response_norm import cross_map_lrn
from metann.functional.squared_error import mse_loss

__all__ = [
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "cosine_similarity",
    "cross_map_lrn",
    "ctc_loss",
    "embedding",
    "embedding_bag",
    "gaussian_nll_loss",
    "gru",
    "gru_cell",
    "hardsigmoid",
    "householder_product",
    "huber_loss",
    "linear",
    "linear_cross_entropy",
    "lstm",
    "lstm_cell",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "nested_tensor_from_mask_left_aligned",
    "normalize",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
    "rrelu",
    "scaled_dot_product_attention",
    "soft_margin_loss",
    "weight_norm",
]

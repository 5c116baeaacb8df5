"""Forms of torch's operations that have every derivative and a batching rule.

The functions here take the arguments of torch's functions of the same names and return the same
numbers. Outside of transforms they call torch's own kernel, whose second derivative `derivatives`
supplies; inside `torch.vmap` and forward-mode differentiation they use plain operations. Which
operation is replaced by which, and why, stands in `metann.replaced`.
"""

from metann.functional.attention import scaled_dot_product_attention
from metann.functional.cells import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell
from metann.functional.embeddings import embedding, embedding_bag
from metann.functional.multi_head_attention import multi_head_attention_forward
from metann.functional.nested import nested_tensor_from_mask_left_aligned
from metann.functional.normalised_weights import weight_norm
from metann.functional.parametrizing import householder_product, normalize
from metann.functional.recurrent import gru, lstm, rnn_relu, rnn_tanh

__all__ = [
    "embedding",
    "embedding_bag",
    "gru",
    "gru_cell",
    "householder_product",
    "lstm",
    "lstm_cell",
    "multi_head_attention_forward",
    "nested_tensor_from_mask_left_aligned",
    "normalize",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
    "scaled_dot_product_attention",
    "weight_norm",
]

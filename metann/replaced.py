"""Which of torch's operations have another form here, the reason, and where to read about it.

Two tables, one readable place. `REPLACED`: what the generator writes into generated classes, and
what a functional call puts in its place when a user's own module calls it under a transform.
`SUPPLIED`: whose second derivative is given to torch. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replaced:
    """A function of torch, and the one with every derivative and a batching rule.

    Attributes:
        original: torch's name, in full.
        by: the name of ours in `metann.functional`.
        why: what torch's lacks, or gets wrong.
        link: torch's documentation or issue.
    """

    original: str
    by: str
    why: str
    link: str


@dataclass(frozen=True)
class Supplied:
    """An operator of torch, mostly a backward pass, and its form that can be differentiated.

    Attributes:
        operator: its name among `torch.ops.aten`, with the overload if it is not the default.
        by: the name of ours in `metann.functional`.
        why: what torch's lacks, or gets wrong.
        link: torch's documentation or issue.
    """

    operator: str
    by: str
    why: str
    link: str


_EMBEDDING_BAG = (
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html"
)
_WEIGHT_NORM = (
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations."
    "weight_norm.html"
)

# torch's functions and layers that have no issue about what they lack.
_FUNCTIONS = "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional."
_NO_GRAD = "https://github.com/pytorch/pytorch/issues/78961"
_CTC = "https://github.com/pytorch/pytorch/issues/70108"

REPLACED: tuple[Replaced, ...] = (
    Replaced(
        "torch.nn.functional.scaled_dot_product_attention",
        "scaled_dot_product_attention",
        "the fused kernels have neither a forward-mode derivative nor a batching rule",
        "https://github.com/pytorch/pytorch/issues/128971",
    ),
    Replaced(
        "torch.nn.functional.multi_head_attention_forward",
        "multi_head_attention_forward",
        "it calls torch's attention, the one above",
        "https://github.com/pytorch/pytorch/issues/128971",
    ),
    Replaced(
        "torch._nested_tensor_from_mask_left_aligned",
        "nested_tensor_from_mask_left_aligned",
        "a Transformer's way to a nested tensor, which no transform of torch can go",
        "https://docs.pytorch.org/docs/stable/nested.html",
    ),
    Replaced(
        "torch.nn.functional.embedding",
        "embedding",
        "its forward mode gives the row of the padding a derivative, and max_norm writes in place",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html",
    ),
    Replaced(
        "torch.nn.functional.embedding_bag",
        "embedding_bag",
        "its kernels have neither a forward-mode derivative nor a batching rule",
        _EMBEDDING_BAG,
    ),
    Replaced(
        "torch._weight_norm",
        "weight_norm",
        "its kernel has neither a forward-mode derivative nor a batching rule",
        _WEIGHT_NORM,
    ),
    Replaced(
        "torch.nn.functional.normalize",
        "normalize",
        "with out=, as in spectral norm, it has neither forward mode nor a batching rule",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html",
    ),
    Replaced(
        "torch.linalg.householder_product",
        "householder_product",
        "its backward pass has no batching rule",
        "https://docs.pytorch.org/docs/stable/generated/torch.linalg.householder_product.html",
    ),
    Replaced(
        "torch._pack_padded_sequence",
        "pack_padded_sequence",
        "it reads lengths, which no transform of torch lets it; nor has it a forward mode",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn."
        "pack_padded_sequence.html",
    ),
    Replaced(
        "torch._pad_packed_sequence",
        "pad_packed_sequence",
        "it reads lengths, which no transform of torch lets it",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn."
        "pad_packed_sequence.html",
    ),
    Replaced(
        "torch._C._nn.pad_sequence",
        "pad_sequence",
        "it has no batching rule",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_sequence.html",
    ),
    Replaced(
        "torch.rnn_tanh",
        "rnn_tanh",
        "it has no batching rule",
        "https://github.com/pytorch/pytorch/issues/105982",
    ),
    Replaced(
        "torch.rnn_relu",
        "rnn_relu",
        "it has no batching rule",
        "https://github.com/pytorch/pytorch/issues/105982",
    ),
    Replaced(
        "torch.gru",
        "gru",
        "it has no batching rule",
        "https://github.com/pytorch/pytorch/issues/134606",
    ),
    Replaced(
        "torch.lstm",
        "lstm",
        "it has no batching rule, and in float32 on the CPU no forward-mode derivative",
        "https://github.com/pytorch/pytorch/issues/105982",
    ),
    Replaced(
        "torch.rnn_tanh_cell",
        "rnn_tanh_cell",
        "it has no batching rule: torch calls it for one element after the other, and warns",
        "https://github.com/pytorch/pytorch/issues/105982",
    ),
    Replaced(
        "torch.rnn_relu_cell",
        "rnn_relu_cell",
        "it has no batching rule: torch calls it for one element after the other, and warns",
        "https://github.com/pytorch/pytorch/issues/105982",
    ),
    Replaced(
        "torch.lstm_cell",
        "lstm_cell",
        "it has no batching rule",
        "https://github.com/pytorch/pytorch/issues/105982",
    ),
    Replaced(
        "torch.gru_cell",
        "gru_cell",
        "it has no batching rule; on CUDA its fused kernel has no forward-mode derivative either",
        "https://github.com/pytorch/pytorch/issues/112459",
    ),
    Replaced(
        "torch.nn.functional.hardsigmoid",
        "hardsigmoid",
        "its backward pass has no forward-mode derivative",
        _FUNCTIONS + "hardsigmoid.html",
    ),
    Replaced(
        "torch.nn.functional.rrelu",
        "rrelu",
        "it has no batching rule, and in place no forward-mode derivative",
        _FUNCTIONS + "rrelu.html",
    ),
    Replaced(
        "torch.nn.functional.huber_loss",
        "huber_loss",
        "its backward pass has no forward-mode derivative",
        _FUNCTIONS + "huber_loss.html",
    ),
    Replaced(
        "torch.nn.functional.soft_margin_loss",
        "soft_margin_loss",
        "its backward pass has no forward-mode derivative",
        _FUNCTIONS + "soft_margin_loss.html",
    ),
    Replaced(
        "torch.nn.functional.multi_margin_loss",
        "multi_margin_loss",
        "it has no forward-mode derivative",
        _FUNCTIONS + "multi_margin_loss.html",
    ),
    Replaced(
        "torch.nn.functional.multilabel_margin_loss",
        "multilabel_margin_loss",
        "it has no forward-mode derivative",
        _FUNCTIONS + "multilabel_margin_loss.html",
    ),
    Replaced(
        "torch.nn.functional.gaussian_nll_loss",
        "gaussian_nll_loss",
        "it branches on a batched value; below eps its forward mode differs from reverse mode",
        _NO_GRAD,
    ),
    Replaced(
        "torch.nn.functional.cosine_similarity",
        "cosine_similarity",
        "below eps its forward mode gives another derivative than its reverse mode",
        _NO_GRAD,
    ),
    Replaced(
        "torch.nn.functional.ctc_loss",
        "ctc_loss",
        "it has no forward-mode derivative",
        _CTC,
    ),
    Replaced(
        "torch.nn.functional.linear_cross_entropy",
        "linear_cross_entropy",
        "in chunks its second derivative is missing or wrong, and its forward mode gives zeros",
        _FUNCTIONS + "linear_cross_entropy.html",
    ),
    Replaced(
        "torch.nn.functional.mse_loss",
        "mse_loss",
        "forward over reverse its mean raises for a constant target, and vmap makes much of it",
        _FUNCTIONS + "mse_loss.html",
    ),
)

SUPPLIED: tuple[Supplied, ...] = (
    Supplied(
        "_scaled_dot_product_flash_attention_for_cpu_backward",
        "flash_attention_for_cpu_backward",
        "its derivative is not implemented: no Transformer without dropout has a second order",
        "https://github.com/pytorch/pytorch/issues/117974",
    ),
    Supplied(
        "_scaled_dot_product_flash_attention_backward",
        "flash_attention_backward",
        "its derivative is not implemented; the same on CUDA",
        "https://github.com/pytorch/pytorch/issues/117974",
    ),
    Supplied(
        "_scaled_dot_product_efficient_attention_backward",
        "efficient_attention_backward",
        "its derivative is not implemented; the same on CUDA, where there is a mask",
        "https://github.com/pytorch/pytorch/issues/117974",
    ),
    Supplied(
        "_scaled_dot_product_cudnn_attention_backward",
        "cudnn_attention_backward",
        "its derivative is not implemented; the same with cuDNN",
        "https://github.com/pytorch/pytorch/issues/117974",
    ),
    Supplied(
        "_embedding_bag_backward",
        "embedding_bag_backward",
        "its derivative is not implemented, so no EmbeddingBag had a second order",
        _EMBEDDING_BAG,
    ),
    Supplied(
        "_embedding_bag_per_sample_weights_backward",
        "embedding_bag_weights_backward",
        "its derivative is not implemented",
        _EMBEDDING_BAG,
    ),
    Supplied(
        "_weight_norm_differentiable_backward",
        "weight_norm_backward",
        "its derivative is wrong: it takes the norms, which depend on v, as constants",
        _WEIGHT_NORM,
    ),
    Supplied(
        "_weight_norm_interface_backward",
        "weight_norm_backward",
        "its derivative is not implemented, and it has no batching rule",
        _WEIGHT_NORM,
    ),
    Supplied(
        "_cudnn_rnn_backward",
        "cudnn_rnn_backward",
        "its derivative is not implemented: no recurrent layer on CUDA had a second order",
        "https://github.com/pytorch/pytorch/issues/25315",
    ),
    Supplied(
        "hardsigmoid_backward",
        "hardsigmoid_backward",
        "its derivative is not implemented, not even the zero that it is",
        _FUNCTIONS + "hardsigmoid.html",
    ),
    Supplied(
        "multi_margin_loss_backward",
        "multi_margin_loss_backward",
        "its derivative is not implemented",
        _FUNCTIONS + "multi_margin_loss.html",
    ),
    Supplied(
        "multilabel_margin_loss_backward",
        "multilabel_margin_loss_backward",
        "its derivative is not implemented",
        _FUNCTIONS + "multilabel_margin_loss.html",
    ),
    Supplied(
        "_ctc_loss_backward",
        "ctc_loss_backward",
        "its derivative is not implemented",
        _CTC,
    ),
    Supplied(
        "_ctc_loss_backward.Tensor",
        "ctc_loss_backward",
        "its derivative is not implemented; the same with the lengths in tensors",
        _CTC,
    ),
)

# Inside `torch.vmap` only. torch's batching rules are right; ours are measured to be faster.
FASTER_BATCHED: tuple[Replaced, ...] = (
    Replaced(
        "torch.nn.functional.linear",
        "linear",
        "with weights of each task its rule makes more of it than one batched matrix product",
        "https://docs.pytorch.org/docs/stable/generated/torch.baddbmm.html",
    ),
    Replaced(
        "torch.conv1d",
        "conv1d",
        "large ones are slower for all tasks at once, which ours says",
        _FUNCTIONS + "conv1d.html",
    ),
    Replaced(
        "torch.conv2d",
        "conv2d",
        "large ones are slower for all tasks at once, which ours says",
        _FUNCTIONS + "conv2d.html",
    ),
    Replaced(
        "torch.conv3d",
        "conv3d",
        "large ones are slower for all tasks at once, which ours says",
        _FUNCTIONS + "conv3d.html",
    ),
    Replaced(
        "torch.nn.functional.batch_norm",
        "batch_norm",
        "its rule applies weight and bias in two passes of their own",
        _FUNCTIONS + "batch_norm.html",
    ),
)

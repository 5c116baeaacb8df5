"""Why a cell of the matrix is empty, in whole or for some samples; written by hand, and tested.

A reason holds for the uses that it names: each of them must fail, with an error that `error`
matches, and must fail in torch too. Where torch can, there is no reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from matrix.problem import Use
from matrix.verdict import Verdict


def _always(use: Use) -> bool:
    return True


@dataclass(frozen=True)
class Reason:
    """Why these layers cannot do what these columns ask."""

    layers: tuple[type[nn.Module], ...]
    columns: tuple[str, ...]
    error: str
    text: str
    link: str
    only: Callable[[Use], bool] = _always

    def is_about(self, column: str, use: Use) -> bool:
        """Whether the use is one of those that it says cannot be done."""
        return use.sample.layer in self.layers and column in self.columns and self.only(use)

    def explains(self, verdict: Verdict) -> bool:
        """Whether this is how it said that it would fail."""
        return re.search(self.error, verdict.text) is not None


_TORCH = "https://github.com/pytorch/pytorch"
_BATCH_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.LazyBatchNorm1d,
    nn.LazyBatchNorm2d,
    nn.LazyBatchNorm3d,
)
_LAZY_INSTANCE_NORMS = (nn.LazyInstanceNorm1d, nn.LazyInstanceNorm2d, nn.LazyInstanceNorm3d)


def _counts_batches(use: Use) -> bool:
    """With momentum=None the running statistics are means over all batches so far."""
    given = use.sample.arguments.kwargs
    tracks = given.get("track_running_stats", True)
    return use.training and tracks and given.get("momentum", 0.1) is None


def _has_no_features(use: Use) -> bool:
    given = use.sample.arguments.kwargs
    return not given["affine"] and not given["track_running_stats"]


def _checks_padding(use: Use) -> bool:
    is_padded = "src_key_padding_mask" in use.sample.inputs.kwargs
    off = {"enable_nested_tensor", "mask_check"} & set(use.sample.arguments.kwargs)
    return is_padded and not use.training and not off


def _has_target_mask(use: Use) -> bool:
    return "tgt_mask" in use.sample.inputs.kwargs


def _is_in_place(use: Use) -> bool:
    return bool(use.sample.arguments.kwargs.get("inplace"))


def _is_in_chunks(use: Use) -> bool:
    return "options" in use.sample.arguments.kwargs


REASONS: tuple[Reason, ...] = (
    Reason(
        (nn.AdaptiveLogSoftmaxWithLoss,),
        ("compile", "meta"),
        "data-dependent|nonzero|get_interpreter_stack",
        "How many examples belong to which cluster of classes stands in the targets: shapes inside "
        "the layer depend on data, which neither the tracer nor the meta device has.",
        f"{_TORCH}/issues/194765",
    ),
    Reason(
        (nn.AdaptiveLogSoftmaxWithLoss,),
        ("bf16 autocast",),
        "expected to have the same dtype",
        "The layer collects float32 results of log_softmax in a tensor of the input's type.",
        f"{_TORCH}/issues/44724",
    ),
    Reason(
        _BATCH_NORMS,
        ("compile", "meta"),
        r"data-dependent|Tensor\.item\(\)",
        "With `momentum=None` the running statistics are means of all batches so far: the count "
        "of the batches, a tensor, is made a Python number.",
        f"{_TORCH}/issues/194504",
        only=_counts_batches,
    ),
    Reason(
        _LAZY_INSTANCE_NORMS,
        ("compile",),
        r"_warnings\.warn",
        "Without weights and statistics these layers never learn their number of features, and "
        "warn of it in each call; the tracer does not follow a warning.",
        f"{_TORCH}/blob/v2.13.0/torch/nn/modules/instancenorm.py",
        only=_has_no_features,
    ),
    Reason(
        (nn.GaussianNLLLoss,),
        ("compile", "meta"),
        r"data-dependent|Tensor\.item\(\)",
        "torch looks at the data, to refuse a negative variance.",
        f"{_TORCH}/issues/194503",
    ),
    Reason(
        (nn.MultiLabelMarginLoss,),
        ("compile",),
        "not close",
        "torch's decomposition for the compiler is wrong for targets with classes after the first "
        "-1; mended in torch after 2.13.",
        f"{_TORCH}/issues/141017",
    ),
    Reason(
        (nn.CTCLoss,),
        ("compile", "meta"),
        "Dynamic shape operator|_ctc_loss.* no fake impl or Meta kernel",
        "torch's kernel has no rule for shapes without data.",
        f"{_TORCH}/issues/183396",
    ),
    Reason(
        (nn.MultiLabelMarginLoss, nn.MultiMarginLoss, nn.FractionalMaxPool3d),
        ("meta",),
        "_backward: .* no fake impl or Meta kernel",
        "The kernel of the gradient has no rule for shapes without data; the output alone has.",
        "https://docs.pytorch.org/docs/stable/meta.html",
    ),
    Reason(
        (nn.SiLU, nn.Threshold),
        ("compile",),
        "modified by an inplace operation",
        "The tracer keeps the input for the backward pass, and overwrites it in place.",
        f"{_TORCH}/issues/185497",
        only=_is_in_place,
    ),
    Reason(
        (nn.RNN, nn.GRU, nn.LSTM),
        ("compile",),
        "does not support RNN, GRU, or LSTM",
        "The tracer refuses these layers on purpose, unless `torch._dynamo.config.allow_rnn`.",
        f"{_TORCH}/issues/167275",
    ),
    Reason(
        (nn.TransformerEncoder,),
        ("meta",),
        "_nested_tensor_from_mask_left_aligned",
        "With a padding mask, in eval mode, torch asks whether the padding is at the end of each "
        "sequence: that stands in the data.",
        f"{_TORCH}/issues/163640",
        only=_checks_padding,
    ),
    Reason(
        (nn.TransformerDecoder, nn.Transformer),
        ("compile", "meta"),
        r"data-dependent|Tensor\.item\(\)",
        "torch compares a mask of the target with a causal one, to say `is_causal`: that stands in "
        "the data.",
        f"{_TORCH}/pull/91171",
        only=_has_target_mask,
    ),
    Reason(
        (nn.LinearCrossEntropyLoss,),
        ("gradient",),
        "backward called twice",
        "In chunks torch computes the gradient together with the loss, and uses it up: finite "
        "differences are compared with several passes through one graph, which only the option "
        "`allow_retain_graph=True` allows.",
        f"{_TORCH}/blob/v2.13.0/torch/nn/modules/linear_cross_entropy.py",
        only=_is_in_chunks,
    ),
    Reason(
        (nn.LinearCrossEntropyLoss,),
        ("compile",),
        r"_warnings\.warn",
        "torch warns that it sets `allow_retain_graph=True` where it is traced, and the tracer "
        "does not follow a warning.",
        f"{_TORCH}/blob/v2.13.0/torch/nn/modules/linear_cross_entropy.py",
        only=_is_in_chunks,
    ),
)

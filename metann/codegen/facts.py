"""What torch's sources do not say: a few facts by hand, each with its reason.

A fact that no class of torch needs any more is an error of tests/codegen/test_facts.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Annotations of arguments that torch leaves without one, by name; where one name means
# different things, by "Class.name".
ARGUMENTS: Mapping[str, str] = {
    "device": "torch.types.Device",
    "dtype": "torch.dtype | None",
    # Deprecated by torch in favour of `reduction`.
    "size_average": "bool | None",
    "reduce": "bool | None",
    # MultiheadAttention annotates nothing in its constructor.
    "embed_dim": "int",
    "num_heads": "int",
    "dropout": "float",
    "add_bias_kv": "bool",
    "add_zero_attn": "bool",
    "kdim": "int | None",
    "vdim": "int | None",
    "batch_first": "bool",
    "bias": "bool",
    # The lazy normalisations: as in their eager classes.
    "eps": "float",
    "momentum": "float | None",
    "affine": "bool",
    "track_running_stats": "bool",
    # FractionalMaxPool: the random positions, for tests that need them fixed.
    "_random_samples": "torch.Tensor | None",
    # torch.nn.utils.parametrizations
    "weight": "torch.Tensor",
    "weight_g": "torch.Tensor",
    "weight_v": "torch.Tensor",
    "use_trivialization": "bool",
    # Whatever the first module of the chain takes.
    "Sequential.input": "typing.Any",
}

# What a forward returns where torch does not say it, or says it by a class without types.
#
# A pooling gives a pair only when constructed with return_indices=True. As in typeshed, the
# second half is Any: nobody has to test for a pair that cannot come.
RESULTS: Mapping[str, str] = {
    "MaxPool1d": "torch.Tensor | typing.Any",
    "MaxPool2d": "torch.Tensor | typing.Any",
    "MaxPool3d": "torch.Tensor | typing.Any",
    "FractionalMaxPool2d": "torch.Tensor | typing.Any",
    "FractionalMaxPool3d": "torch.Tensor | typing.Any",
    "AdaptiveMaxPool1d": "torch.Tensor | typing.Any",
    "AdaptiveMaxPool2d": "torch.Tensor | typing.Any",
    "AdaptiveMaxPool3d": "torch.Tensor | typing.Any",
    # Whatever the last module of the chain gives.
    "Sequential": "typing.Any",
    "_WeightNorm": "torch.Tensor",
    "AdaptiveLogSoftmaxWithLoss": "metann.layers.adaptive.OutputAndLoss",
}

# Methods of a tensor that torch does not annotate, and what the line that returns their result
# has to say to type checkers.
UNTYPED: Mapping[str, str] = {
    "input.unflatten": "type: ignore[no-any-return, no-untyped-call]  # torch does not annotate it",
}

# Where torch's type stubs take less than torch, and than its own layers pass: the argument, and
# what its line has to say to mypy and pyright. The overloads of functional.pyi know True and
# False, but no bool; those of max_unpool and adaptive_max_pool know tuples of any length, but no
# single number and no None. A buffer that no annotation declares may be a module, to them.
_OVERLOADS = "type: ignore[call-overload]"
_TYPES = "type: ignore[arg-type]"
_PYRIGHT = "pyright: ignore[reportArgumentType]"  # mypy says it all in the other line.
STUBS_REFUSE: Mapping[str, Mapping[str, str]] = {
    "F.max_pool1d": {"self.return_indices": _OVERLOADS},
    "F.max_pool2d": {"self.return_indices": _OVERLOADS},
    "F.max_pool3d": {"self.return_indices": _OVERLOADS},
    "F.fractional_max_pool2d": {
        "self.return_indices": _OVERLOADS,
        "self._random_samples": _PYRIGHT,
    },
    "F.fractional_max_pool3d": {
        "self.return_indices": _OVERLOADS,
        "self._random_samples": _PYRIGHT,
    },
    "F.adaptive_max_pool1d": {"self.return_indices": _OVERLOADS},
    "F.adaptive_max_pool2d": {"self.output_size": _PYRIGHT, "self.return_indices": _OVERLOADS},
    "F.adaptive_max_pool3d": {"self.output_size": _PYRIGHT, "self.return_indices": _OVERLOADS},
    "F.max_unpool1d": {"self.kernel_size": _TYPES, "self.stride": _TYPES, "self.padding": _TYPES},
    "F.max_unpool2d": {"self.kernel_size": _TYPES, "self.stride": _TYPES, "self.padding": _TYPES},
    "F.max_unpool3d": {"self.kernel_size": _TYPES, "self.stride": _TYPES, "self.padding": _TYPES},
}

# Layers that torch itself puts into a user's tree, without exporting them from torch.nn.
ALSO_WRITTEN = (
    "torch.nn.modules.linear.NonDynamicallyQuantizableLinear",
    "torch.nn.utils.parametrize.ParametrizationList",
    "torch.nn.utils.parametrizations._Orthogonal",
    "torch.nn.utils.parametrizations._WeightNorm",
    "torch.nn.utils.parametrizations._SpectralNorm",
)

SKIPPED: Mapping[str, str] = {
    "torch.nn.Module": "its counterpart is DependentModule itself",
    "torch.nn.DataParallel": (
        "it replicates the module it wraps at each call; convert the wrapped module, `.module`"
    ),
}

# Public classes without a page of their own in torch's documentation.
WITHOUT_PAGE = ("torch.nn.Container", "torch.nn.NLLLoss2d", "torch.nn.RNNCellBase")


@dataclass(frozen=True)
class Mixin:
    """Hand-written behaviour that a counterpart inherits, and why it needs it."""

    module: str
    name: str
    why: str
    reads: Mapping[str, str] = field(default_factory=dict[str, str])
    """What a written-out forward reads in place of an attribute of torch's."""


MIXINS: Mapping[str, Mixin] = {
    "torch.nn.modules.rnn.RNNBase": Mixin(
        "metann.layers.recurrent",
        "FlatWeights",
        "torch hands its kernels a second list of the weights, which substitution makes stale",
    ),
    "torch.nn.modules.rnn.RNN": Mixin(
        "metann.layers.recurrent",
        "StepsPlainly",
        "torch's kernels for sequences know of no transforms",
    ),
    "torch.nn.modules.rnn.LSTM": Mixin(
        "metann.layers.recurrent",
        "StepsPlainly",
        "torch's kernels for sequences know of no transforms",
    ),
    "torch.nn.modules.rnn.GRU": Mixin(
        "metann.layers.recurrent",
        "StepsPlainly",
        "torch's kernels for sequences know of no transforms",
    ),
    "torch.nn.modules.rnn.RNNCell": Mixin(
        "metann.layers.recurrent",
        "StepsPlainly",
        "torch's kernels for cells know of no transforms",
    ),
    "torch.nn.modules.rnn.LSTMCell": Mixin(
        "metann.layers.recurrent",
        "StepsPlainly",
        "torch's kernels for cells know of no transforms",
    ),
    "torch.nn.modules.rnn.GRUCell": Mixin(
        "metann.layers.recurrent",
        "StepsPlainly",
        "torch's kernels for cells know of no transforms",
    ),
    "torch.nn.modules.batchnorm.BatchNorm1d": Mixin(
        "metann.layers.batch_norm",
        "AveragesOverAll",
        "torch reads the number of batches as a Python number, which vmap does not allow",
    ),
    "torch.nn.modules.batchnorm.BatchNorm2d": Mixin(
        "metann.layers.batch_norm",
        "AveragesOverAll",
        "torch reads the number of batches as a Python number, which vmap does not allow",
    ),
    "torch.nn.modules.batchnorm.BatchNorm3d": Mixin(
        "metann.layers.batch_norm",
        "AveragesOverAll",
        "torch reads the number of batches as a Python number, which vmap does not allow",
    ),
    "torch.nn.modules.sparse.Embedding": Mixin(
        "metann.layers.embedding",
        "Renormalises",
        "with max_norm torch writes into the weight, which may be the caller's tensor",
        {"self.weight": "self.own_weight"},
    ),
    "torch.nn.modules.sparse.EmbeddingBag": Mixin(
        "metann.layers.embedding",
        "Renormalises",
        "with max_norm torch writes into the weight, which may be the caller's tensor",
        {"self.weight": "self.own_weight"},
    ),
    "torch.nn.modules.activation.MultiheadAttention": Mixin(
        "metann.layers.plain_forms",
        "CallsPlainForms",
        "torch's fused kernels, and nested tensors, know of no transforms",
    ),
    "torch.nn.modules.transformer.TransformerEncoder": Mixin(
        "metann.layers.plain_forms",
        "CallsPlainForms",
        "torch's fused kernels, and nested tensors, know of no transforms",
    ),
    "torch.nn.modules.transformer.TransformerEncoderLayer": Mixin(
        "metann.layers.plain_forms",
        "CallsPlainForms",
        "torch's fused kernels, and nested tensors, know of no transforms",
    ),
    "torch.nn.utils.parametrizations._SpectralNorm": Mixin(
        "metann.layers.plain_forms",
        "CallsPlainForms",
        "torch writes the singular vectors with out=, which no transform knows",
    ),
    "torch.nn.utils.parametrizations._Orthogonal": Mixin(
        "metann.layers.plain_forms",
        "CallsPlainForms",
        "torch's product of reflections has no batching rule in its backward pass",
    ),
    "torch.nn.modules.adaptive.AdaptiveLogSoftmaxWithLoss": Mixin(
        "metann.layers.adaptive",
        "KnowsBatches",
        "torch picks the examples of each cluster, which vmap does not allow",
    ),
    "torch.nn.modules.loss.LinearCrossEntropyLoss": Mixin(
        "metann.layers.linear_cross_entropy",
        "HasAllDerivatives",
        "torch's loss in chunks has a first derivative at most",
    ),
    "torch.nn.modules.normalization.CrossMapLRN2d": Mixin(
        "metann.layers.response_norm",
        "NormalisesPlainly",
        "torch's first derivative is wrong, and it has no other",
    ),
    "torch.nn.modules.container.Sequential": Mixin(
        "metann.layers.images",
        "RunsImages",
        "on a CPU, images are differentiated once in 0.65 of the time with the channels last; and "
        "torch's insert() writes the module into its table, past all that would convert it",
    ),
    "torch.nn.modules.container.ModuleList": Mixin(
        "metann.layers.containers",
        "ConvertsInserted",
        "torch's insert() writes the module into its table, past all that would convert it",
    ),
    "torch.nn.modules.container.ModuleDict": Mixin(
        "metann.layers.containers",
        "HoldsDependents",
        "torch has its items as plain modules",
    ),
    "torch.nn.modules.container.ParameterList": Mixin(
        "metann.layers.containers",
        "KeepsListedDependents",
        "torch makes a new parameter of a tensor set by index, and so cuts it from its graph",
    ),
    "torch.nn.modules.container.ParameterDict": Mixin(
        "metann.layers.containers",
        "KeepsNamedDependents",
        "torch makes a new parameter of a tensor set by key, and so cuts it from its graph",
    ),
}

"""Files of torch itself that are written as users write theirs."""

from __future__ import annotations

from typing import Any

import torch
from real_files import Classes, Model, RealFile, numbers
from torch import nn

CPU = torch.device("cpu")


def transformer(file: Classes, **options: Any) -> nn.Module:
    """Its configuration is a dataclass; by default two of its weights are one."""
    model: nn.Module = file.Transformer(file.ModelArgs(dropout_p=0.0, **options))
    return model


def tokens() -> tuple[Any, ...]:
    return (torch.randint(8, (2, 5)),)


def bags() -> tuple[Any, ...]:
    return torch.randint(10, (6,)), torch.tensor([0, 2, 5]), torch.randn(3, 4)


def sequence() -> tuple[Any, ...]:
    """A sequence and the states before it, in both directions."""
    return torch.randn(5, 2, 3), (torch.randn(2, 2, 4), torch.randn(2, 2, 4))


def averaged(file: Classes) -> nn.Module:
    """A model that keeps the average of another's weights beside a count."""
    model: nn.Module = file.AveragedModel(nn.Linear(3, 2))
    return model


PRUNED = {
    "MockSparseLinear": Model(lambda file: file.MockSparseLinear(3, 2), numbers(4, 3)),
    "SimpleLinear": Model(lambda file: file.SimpleLinear(), numbers(3, 7)),
    "LinearActivation": Model(lambda file: file.LinearActivation(), numbers(3, 7), twice=True),
    "Conv2dPool": Model(lambda file: file.Conv2dPool(), numbers(1, 1, 28, 28)),
    "LSTMLinearModel": Model(lambda file: file.LSTMLinearModel(3, 4, 2, 2), numbers(5, 2, 3)),
    "LSTMLayerNormLinearModel": Model(
        lambda file: file.LSTMLayerNormLinearModel(3, 4, 2, 1), numbers(5, 2, 3)
    ),
}
QUANTISED = {
    "LinearModelWithSubmodule": Model(lambda file: file.LinearModelWithSubmodule(), numbers(2, 5)),
    "ConvBnReLUModel": Model(lambda file: file.ConvBnReLUModel(), numbers(2, 3, 5, 5)),
    "ModelForLinearBNFusion": Model(lambda file: file.ModelForLinearBNFusion(), numbers(3, 20)),
    "ModelWithSequentialFusion": Model(
        lambda file: file.ModelWithSequentialFusion(), numbers(2, 3, 10, 10)
    ),
    "ModelMultipleOps": Model(lambda file: file.ModelMultipleOps(), numbers(2, 3, 8, 8)),
    "LinearReluAddModel": Model(lambda file: file.LinearReluAddModel(), numbers(2, 5)),
    "SparseNNModel": Model(lambda file: file.SparseNNModel(), bags),
}
SHARDED = {
    "MLPStacked": Model(lambda file: file.MLPStacked("cpu"), numbers(2, 10)),
    "Attention": Model(
        lambda file: file.Attention(file.ModelArgs(dropout_p=0.0)), numbers(2, 5, 16), twice=True
    ),
    "Transformer": Model(transformer, tokens),
    "Transformer of experts": Model(lambda file: transformer(file, num_experts=2), tokens),
}
WRAPPED = {
    "MLPStack": Model(lambda file: file.MLPStack(4, with_seq_parallel=True), numbers(2, 4)),
    "MLP": Model(lambda file: file.MLP(4, with_buffer=True), numbers(2, 4)),
    "DoubleLinear": Model(lambda file: file.DoubleLinear(3), numbers(2, 3)),
}
COMPOSED = {
    "CompositeParamModel": Model(lambda file: file.CompositeParamModel(CPU), numbers(2, 100)),
    "UnitModule": Model(lambda file: file.UnitModule(CPU), numbers(2, 100)),
}
FUSED = {
    "LinearReLU": Model(
        lambda file: file.LinearReLU(file.Linear(3, 4), file.ReLU()), numbers(2, 3)
    ),
    "ConvBnReLU2d": Model(
        lambda file: file.ConvBnReLU2d(file.Conv2d(2, 3, 3), file.BatchNorm2d(3), file.ReLU()),
        numbers(2, 2, 5, 5),
    ),
}
ATTENDING = {
    "MultiheadAttention": Model(
        lambda file: file.MultiheadAttention(8, 2, batch_first=True),
        lambda: tuple(torch.randn(2, 3, 8) for _ in range(3)),
    )
}

FILES = (
    RealFile("torch.testing._internal.common_pruning", PRUNED),
    RealFile("torch.testing._internal.common_quantization", QUANTISED, ("expecttest",)),
    RealFile(
        "torch.testing._internal.distributed._tensor.common_dtensor", SHARDED, ("expecttest",)
    ),
    RealFile("torch.testing._internal.common_fsdp", WRAPPED, ("expecttest",)),
    RealFile("torch.testing._internal.common_dist_composable", COMPOSED),
    RealFile(
        "torch.testing._internal.quantization_torch_package_models",
        {
            "LinearReluFunctional": Model(
                lambda file: file.LinearReluFunctional(4), numbers(2, 4), twice=True
            )
        },
    ),
    RealFile(
        "torch.ao.nn.quantizable.modules.rnn",
        {"LSTM": Model(lambda file: file.LSTM(3, 4, 1, bidirectional=True), sequence)},
    ),
    RealFile("torch.ao.nn.quantizable.modules.activation", ATTENDING),
    RealFile("torch.ao.nn.intrinsic.modules.fused", FUSED),
    RealFile("torch.optim.swa_utils", {"AveragedModel": Model(averaged, numbers(2, 3))}),
)

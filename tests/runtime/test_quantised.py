"""Quantised, fused and quantisation-aware modules of torch, in every way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.ao.nn.intrinsic as fused
import torch.ao.nn.intrinsic.qat as fused_aware
import torch.ao.nn.intrinsic.quantized as fused_quantised
import torch.ao.nn.qat as aware
import torch.ao.nn.quantizable as quantisable
import torch.ao.nn.quantized as quantised
import torch.ao.nn.quantized.dynamic as dynamic
from every_way import assert_the_same_in_every_way, moved
from torch import Tensor, nn
from torch.ao import quantization

from metann import Learner

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.ao.quantization:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*TypedStorage:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*reduce_range:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor.*deprecated:UserWarning"),
]
Made = Callable[[], nn.Module]


@pytest.fixture(autouse=True)
def _single_precision() -> None:
    """torch quantises nothing else; the folder's own fixture sets it back."""
    torch.set_default_dtype(torch.float32)


def aware_configuration() -> Any:
    return quantization.get_default_qat_qconfig("x86")


def embedding_configuration() -> Any:
    return quantization.QConfig(
        activation=quantization.default_dynamic_fake_quant,
        weight=quantization.default_embedding_fake_quant,
    )


def numbers(*shape: int) -> Tensor:
    return torch.quantize_per_tensor(torch.randn(shape), 0.05, 64, torch.quint8)


def filled(layer: Any) -> nn.Module:
    """torch leaves the weights of a fresh quantised layer as it found them in memory."""
    shape = layer.weight().shape
    weight = torch.quantize_per_tensor(torch.randn(shape), 0.05, 0, torch.qint8)
    layer.set_weight_bias(weight, torch.randn(shape[0]))
    return layer


def drawn(layer: nn.Module) -> nn.Module:
    """torch leaves the bias of a fresh LinearBn1d as it found it in memory."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.rand_like(parameter) + 0.5)
    return layer


class Adding(nn.Module):
    """Adds by a module, as quantised nets do: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.add = nn.Linear(3, 3), quantised.FloatFunctional()

    def forward(self, x: Tensor) -> Tensor:
        return self.add.add_relu(self.layer(x), x)


def plain_net() -> nn.Module:
    return nn.Sequential(
        quantization.QuantStub(),
        nn.Conv2d(2, 3, 2),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(27, 2),
        quantization.DeQuantStub(),
    )


def aware_net() -> nn.Module:
    net = quantization.fuse_modules_qat(plain_net().train(), [["1", "2", "3"]])
    net.qconfig = aware_configuration()
    return quantization.prepare_qat(net)


def quantised_net() -> nn.Module:
    net = aware_net()
    net(torch.randn(2, 2, 4, 4))
    return quantization.convert(net.eval())


def dynamic_net(which: Any) -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    return quantization.quantize_dynamic(net, which)


def matrix() -> tuple[Tensor]:
    return (torch.randn(4, 3),)


def image() -> tuple[Tensor]:
    return (torch.randn(2, 2, 4, 4),)


def sequence() -> tuple[Tensor]:
    return (torch.randn(4, 2, 3),)


def quantised_matrix() -> tuple[Tensor]:
    return (numbers(4, 3),)


def quantised_image() -> tuple[Tensor]:
    return (numbers(2, 2, 4, 4),)


CASES: dict[str, tuple[Made, Callable[[], Any]]] = {
    "quantized.Linear": (lambda: filled(quantised.Linear(3, 2)), quantised_matrix),
    "quantized.Conv2d": (lambda: filled(quantised.Conv2d(2, 3, 2)), quantised_image),
    "quantized.BatchNorm2d": (lambda: quantised.BatchNorm2d(2), quantised_image),
    "quantized.ReLU6": (lambda: quantised.ReLU6(), quantised_image),
    "quantized.Quantize": (
        lambda: nn.Sequential(
            nn.Linear(3, 2),
            quantised.Quantize(0.05, 64, torch.quint8),
            quantised.DeQuantize(),
        ),
        matrix,
    ),
    "quantized.FloatFunctional": (Adding, lambda: (torch.randn(4, 3),)),
    "quantized.dynamic.Linear": (lambda: filled(dynamic.Linear(3, 2)), matrix),
    "quantized.dynamic.LSTM": (lambda: dynamic.LSTM(3, 2), sequence),
    "quantizable.LSTM": (lambda: quantisable.LSTM(3, 2), sequence),
    "quantizable.MultiheadAttention": (
        lambda: quantisable.MultiheadAttention(4, 2),
        lambda: (torch.randn(2, 3, 4),) * 3,
    ),
    "qat.Linear": (lambda: aware.Linear(3, 2, qconfig=aware_configuration()), matrix),
    "qat.Conv2d": (lambda: aware.Conv2d(2, 3, 2, qconfig=aware_configuration()), image),
    "qat.Embedding": (
        lambda: aware.Embedding(5, 4, qconfig=embedding_configuration()),
        lambda: (torch.tensor([0, 1]),),
    ),
    "intrinsic.LinearReLU": (lambda: fused.LinearReLU(nn.Linear(3, 2), nn.ReLU()), matrix),
    "intrinsic.ConvBn2d": (
        lambda: fused.ConvBn2d(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3)),
        image,
    ),
    "intrinsic.ConvBnReLU2d": (
        lambda: fused.ConvBnReLU2d(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU()),
        image,
    ),
    "intrinsic.LinearBn1d": (lambda: fused.LinearBn1d(nn.Linear(3, 2), nn.BatchNorm1d(2)), matrix),
    "intrinsic.qat.ConvBn2d": (
        lambda: fused_aware.ConvBn2d(2, 3, 2, bias=False, qconfig=aware_configuration()),
        image,
    ),
    "intrinsic.qat.ConvBnReLU2d": (
        lambda: fused_aware.ConvBnReLU2d(2, 3, 2, qconfig=aware_configuration()),
        image,
    ),
    "intrinsic.qat.LinearReLU": (
        lambda: fused_aware.LinearReLU(3, 2, qconfig=aware_configuration()),
        matrix,
    ),
    "intrinsic.qat.LinearBn1d": (
        lambda: drawn(fused_aware.LinearBn1d(3, 2, qconfig=aware_configuration())),
        matrix,
    ),
    "intrinsic.quantized.LinearReLU": (
        lambda: filled(fused_quantised.LinearReLU(3, 2)),
        quantised_matrix,
    ),
    "FakeQuantize": (
        lambda: nn.Sequential(nn.Linear(3, 2), quantization.default_fake_quant()),
        matrix,
    ),
    "FakeQuantize by channel": (
        lambda: nn.Sequential(
            nn.Linear(3, 2), quantization.default_per_channel_weight_fake_quant()
        ),
        matrix,
    ),
    "FusedMovingAvgObsFakeQuantize": (
        lambda: nn.Sequential(nn.Linear(3, 2), quantization.default_fused_act_fake_quant()),
        matrix,
    ),
    "observers": (
        lambda: nn.Sequential(
            nn.Linear(3, 2), quantization.MinMaxObserver(), quantization.HistogramObserver()
        ),
        matrix,
    ),
    "a net, aware": (aware_net, image),
    "a net, quantised": (quantised_net, image),
    "a net, quantised dynamically": (lambda: dynamic_net({nn.Linear}), matrix),
    "a net, half of it quantised dynamically": (
        lambda: dynamic_net({"0": quantization.default_dynamic_qconfig}),
        matrix,
    ),
}


@pytest.mark.parametrize(("make", "x"), CASES.values(), ids=CASES)
def test_a_module_is_the_plain_one_in_every_way(make: Made, x) -> None:
    assert_the_same_in_every_way(make, *x(), second=False)


def test_a_net_that_is_aware_of_quantisation_learns_in_an_inner_loop() -> None:
    net, (x,) = aware_net(), image()
    learner, weights = Learner(net), moved(net)

    loss = learner.functional(weights, True, x).square().sum()
    slopes = torch.autograd.grad(loss, weights, create_graph=True)
    adapted = [w - 0.01 * slope for w, slope in zip(weights, slopes, strict=True)]
    outer = learner.functional(adapted, True, x).square().sum()

    assert outer < loss
    assert all(g.isfinite().all() for g in torch.autograd.grad(outer, weights))


def test_the_observers_of_the_original_see_nothing_of_a_call() -> None:
    net, (x,) = aware_net(), image()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}

    Learner(net).functional(moved(net), True, 10 * x)

    assert before
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())

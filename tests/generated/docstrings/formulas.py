"""The formulas of docstrings, and layers to compute them with.

A case gives the names that a formula leaves to the reader, in the words of its docstring: the
mean "of each channel", the gates "i, f, g, o".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from docstrings.said import Names, said_of

OF_NUMBERS = {name: getattr(math, name) for name in ("exp", "log", "tanh", "erf", "sqrt", "pi")}
OF_NUMBERS["sigmoid"] = lambda x: 1 / (1 + math.exp(-x))
OF_TENSORS = {name: getattr(torch, name) for name in ("exp", "log", "tanh", "sqrt", "sigmoid")}


def formulas_of(layer: type[nn.Module]) -> list[str]:
    """Every formula of a docstring, but for single names."""
    found = re.findall(r"`([^`]*)`", said_of(layer).summary)
    return [formula for formula in found if not formula.isidentifier()]


@dataclass(frozen=True)
class Case:
    """A layer, one of its formulas, what its names stand for, and the value it should have.

    A formula that assigns is compared by what it assigns to `result`.
    """

    layer: nn.Module
    names: Mapping[str, Any]
    expected: Tensor | list[Tensor]
    number: int = 0
    result: tuple[str, ...] = field(default=())

    @property
    def formula(self) -> str:
        """The formula, as it stands in the docstring."""
        return formulas_of(type(self.layer))[self.number]

    def value(self) -> Any:
        """What the formula gives."""
        names = Names(self.layer, **OF_TENSORS | dict(self.names))
        if not self.result:
            return eval(self.formula, {}, names)
        exec(self.formula, {}, names)
        return [names[name] for name in self.result]


def along(dim: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """`sum` and `mean` along dimensions, which stay there with size 1."""
    return {"sum": lambda x: x.sum(dim, keepdim=True)}


def affine_maps() -> Iterator[Case]:
    """Linear, Bilinear, embeddings."""
    linear, x = nn.Linear(3, 4), torch.randn(2, 3)
    yield Case(linear, {"input": x}, linear(x))
    bilinear, y = nn.Bilinear(3, 4, 5), torch.randn(2, 4)
    yield Case(bilinear, {"input1": x, "input2": y, "einsum": torch.einsum}, bilinear(x, y))
    embedding, indices = nn.Embedding(5, 3), torch.tensor([[1, 4], [0, 1]])
    yield Case(embedding, {"input": indices}, embedding(indices))
    for mode in ("mean", "sum", "max"):
        bag = nn.EmbeddingBag(5, 3, mode=mode)
        # The formula gives the rows, of which the mode makes one.
        for row, bagged in zip(indices, bag(indices), strict=True):
            reduced = {"mean": bag.weight[row].mean(0), "sum": bag.weight[row].sum(0)}
            expected = reduced.get(mode, bag.weight[row].amax(0))
            torch.testing.assert_close(bagged, expected)
            yield Case(bag, {"input": row}, bag.weight[row])


def along_a_dimension() -> Iterator[Case]:
    """Softmax and its like; distances."""
    x, image = torch.randn(2, 4, 3), torch.randn(2, 3, 4, 5)
    for dim in (0, 1, -1):
        for kind in (nn.Softmax, nn.Softmin, nn.LogSoftmax):
            layer = kind(dim)
            yield Case(layer, {"input": x} | along(dim), layer(x))
    yield Case(nn.Softmax2d(), {"input": image} | along(1), nn.Softmax2d()(image))
    a, b = x.chunk(2, dim=1)
    yield Case(nn.GLU(1), {"a": a, "b": b}, nn.GLU(1)(x))
    other = torch.randn(2, 4, 3)
    for p in (1.0, 2.0, 3.0):
        distance = nn.PairwiseDistance(p, eps=0.1)
        names = {"x1": x, "x2": other, "norm": lambda d, p=p: d.norm(p, dim=-1)}
        yield Case(distance, names, distance(x, other))
    for eps in (1e-8, 100.0):
        cosine = nn.CosineSimilarity(1, eps)
        names = {"norm": lambda v: v.norm(dim=1), "sum": lambda v: v.sum(1), "max": torch.clamp_min}
        yield Case(cosine, {"x1": x, "x2": other} | names, cosine(x, other))


def normalised(
    layer: nn.Module, x: Tensor, dims: tuple[int, ...], affine: Callable[[Tensor], Tensor]
) -> Case:
    """`mean` and `var` over dimensions; weight and bias in the place that `affine` gives them."""
    mean, var = x.mean(dims, keepdim=True), x.var(dims, unbiased=False, keepdim=True)
    weights = {"weight": affine(layer.weight), "bias": affine(layer.bias)}
    return Case(layer, {"input": x, "mean": mean, "var": var, **weights}, layer(x))


def normalisations() -> Iterator[Case]:
    """All that divide by a standard deviation."""
    for n in (1, 2, 3):
        x = torch.randn(4, 6, *(3, 2, 4)[:n])
        space = tuple(range(2, 2 + n))

        def affine(weight: Tensor, n: int = n) -> Tensor:
            return weight.reshape(-1, *[1] * n)

        batch = moved(getattr(nn, f"BatchNorm{n}d")(6))
        yield normalised(batch, x, (0, *space), affine)
        for tracked in (batch.eval(), moved(nn.SyncBatchNorm(6)).eval()):
            names = {"mean": affine(tracked.running_mean), "var": affine(tracked.running_var)}
            names |= {"weight": affine(tracked.weight), "bias": affine(tracked.bias)}
            yield Case(tracked, {"input": x} | names, tracked(x))
        yield normalised(moved(getattr(nn, f"InstanceNorm{n}d")(6, affine=True)), x, space, affine)
    x = torch.randn(4, 6, 5)
    yield normalised(moved(nn.LayerNorm((6, 5))), x, (1, 2), lambda weight: weight)
    rms = moved(nn.RMSNorm((6, 5), eps=0.1))
    yield Case(rms, {"input": x, "mean": lambda v: v.mean((1, 2), keepdim=True)}, rms(x))
    group = moved(nn.GroupNorm(3, 6))
    split = x.reshape(4, 3, 2, 5)
    mean = split.mean((2, 3), keepdim=True).expand_as(split).reshape(x.shape)
    var = split.var((2, 3), unbiased=False, keepdim=True).expand_as(split).reshape(x.shape)
    weights = {"weight": group.weight.reshape(6, 1), "bias": group.bias.reshape(6, 1)}
    yield Case(group, {"input": x, "mean": mean, "var": var, **weights}, group(x))


def among_neighbours() -> Iterator[Case]:
    """Local response normalisations."""
    x = torch.randn(2, 6, 3, 4)
    for size in (3, 4, 5):
        squares = F.pad(x.square(), (0, 0, 0, 0, size // 2, (size - 1) // 2))
        squares = squares.unfold(1, size, 1).sum(-1)
        local = nn.LocalResponseNorm(size, 0.7, 0.6, 1.3)
        yield Case(local, {"input": x, "squares": squares}, local(x))
        cross, side = nn.CrossMapLRN2d(size, 0.7, 0.6, 1.3), (size - 1) // 2
        summed = [
            sum(x[:, i].square() for i in {0, *range(max(c - side, 0), min(c + side + 1, 6))})
            for c in range(6)
        ]
        yield Case(cross, {"input": x, "squares": torch.stack(summed, 1)}, cross(x))


def moved(layer: nn.Module) -> nn.Module:
    """With weights and statistics that are neither 0 nor 1."""
    with torch.no_grad():
        for tensor in (*layer.parameters(), *layer.buffers()):
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
    return layer


def powers() -> Iterator[Case]:
    """Poolings by a power."""
    for n, layer in enumerate((nn.LPPool1d, nn.LPPool2d, nn.LPPool3d), start=1):
        x = torch.rand(2, 3, *[4] * n)
        for power in (1, 2, 3):
            pool = layer(power, 2)
            windows = x
            for dim in range(2, 2 + n):
                windows = windows.unfold(dim, 2, 2)
            inside = tuple(range(-n, 0))
            names = {"x": windows, "sum": lambda v, inside=inside: v.sum(inside)}
            yield Case(pool, names, pool(x))


def drops() -> Iterator[Case]:
    """What the dropouts let through."""
    for layer, shape in {
        nn.Dropout: (50,),
        nn.Dropout1d: (8, 9, 2),
        nn.Dropout2d: (8, 9, 2, 2),
        nn.Dropout3d: (8, 9, 2, 2, 2),
    }.items():
        dropout, x = layer(0.3), torch.rand(shape) + 1
        kept = dropout(x)
        assert (kept == 0).any()
        yield Case(dropout, {"input": x[kept != 0]}, kept[kept != 0])


def parametrized() -> Iterator[Case]:
    """Weight and spectral norm."""
    v = torch.randn(3, 4)
    norm = parametrizations._WeightNorm(0)
    names = {"weight_g": torch.rand(3, 1), "weight_v": v, "norm": lambda w: w.norm(dim=1)[:, None]}
    yield Case(norm, names, norm(names["weight_g"], v))
    spectral = parametrizations._SpectralNorm(v, n_power_iterations=100)
    names = {"weight": v, "sigma": torch.linalg.matrix_norm(v, 2)}
    yield Case(spectral, names, spectral(v))

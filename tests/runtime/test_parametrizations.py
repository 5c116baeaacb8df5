"""Parametrized nets in every way: torch's, users' own, stacked, tied, cached, of any layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from every_way import assert_the_same_in_every_way, moved
from small_nets import inputs, mlp
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from metann import DependentModule, Learner

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
Net = Callable[[], nn.Module]


# ── users' own parametrizations ──────────────────────────────────────────────────────────────


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).mT

    def right_inverse(self, x: Tensor) -> Tensor:
        return x.triu()


class LowRank(nn.Module):
    """Has weights of its own, one frozen, and a buffer."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.randn(rows, 1))
        self.right = nn.Parameter(torch.randn(1, columns))
        self.scale = nn.Parameter(torch.tensor(0.7), requires_grad=False)
        self.register_buffer("shift", torch.tensor(0.1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.left @ self.right + self.shift


class Split(nn.Module):
    """Keeps a tensor as two."""

    def forward(self, size: Tensor, direction: Tensor) -> Tensor:
        return size.exp() * direction.tanh()

    def right_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(1), x.clamp(-0.9, 0.9).atanh()


class Scaled(nn.Module):
    """Is a module with a layer inside."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh()


class Rereading(nn.Module):
    """Reads a parametrized weight many times, and caches it meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = parametrizations.orthogonal(nn.Linear(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        with parametrize.cached():
            for _ in range(3):
                x = torch.tanh(self.layer(x)) + self.layer.weight.sum()
        return x


class Reading(nn.Module):
    """Reads the parametrized weight of a child, and its original."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())

    def forward(self, x: Tensor) -> Tensor:
        original = self.layer.parametrizations.weight.original
        return self.layer(x) @ self.layer.weight + original.square().sum()


def parametrized(layer: nn.Module, name: str, *modules: nn.Module) -> nn.Module:
    for module in modules:
        parametrize.register_parametrization(layer, name, module)
    return layer


def tied_originals() -> nn.Module:
    """Two layers, each with a parametrization of its own, of one parameter."""
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    parametrized(net[0], "weight", Symmetric())
    parametrized(net[2], "weight", nn.Softplus())
    net[2].parametrizations.weight.original = net[0].parametrizations.weight.original
    return net


def shared_parametrization() -> nn.Module:
    """Two layers, each with a parameter of its own, under one parametrization with weights."""
    both = LowRank(3, 3)
    one, two = (parametrized(nn.Linear(3, 3), "weight", both) for _ in range(2))
    return nn.Sequential(one, nn.Tanh(), two)


def on_a_buffer() -> nn.Module:
    layer = nn.Linear(3, 2)
    del layer.weight
    layer.register_buffer("weight", torch.randn(2, 3))
    return parametrized(layer, "weight", LowRank(2, 3))


def stacked_norms() -> nn.Module:
    """Torch allows a parametrization with two originals only as the first."""
    layer = parametrizations.weight_norm(nn.Linear(3, 3))
    parametrized(layer, "weight", Symmetric(), LowRank(3, 3))
    return parametrizations.spectral_norm(layer)


def old_norms() -> nn.Module:
    layer = nn.utils.weight_norm(nn.utils.spectral_norm(nn.Linear(3, 2), "weight"), "bias")
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh(), layer)


def recurrent(kind: type[nn.Module]) -> nn.Module:
    net = parametrizations.orthogonal(kind(3, 3, 2), "weight_hh_l0")
    return parametrized(net, "bias_ih_l1", nn.Tanh())


def attention() -> nn.Module:
    net = nn.MultiheadAttention(4, 2, batch_first=True)
    parametrizations.weight_norm(net, "in_proj_weight")
    parametrized(net.out_proj, "weight", nn.Tanh())
    return net


def pruned_globally() -> nn.Module:
    net = mlp()
    both = [(net[0], "weight"), (net[2], "weight")]
    prune.global_unstructured(both, pruning_method=prune.L1Unstructured, amount=0.4)
    prune.random_structured(net[0], "weight", amount=1, dim=0)
    return net


MAPS = ("matrix_exp", "cayley", "householder")
NETS: dict[str, Net] = {
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(3, 2)),
    "weight norm in all": lambda: parametrizations.weight_norm(nn.Linear(3, 2), dim=None),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
    **{
        f"orthogonal {kind}{'' if base else ', no base'}": lambda kind=kind, base=base: (
            parametrizations.orthogonal(
                nn.Linear(3, 2), orthogonal_map=kind, use_trivialization=base
            )
        )
        for kind in MAPS
        for base in (True, False)
    },
    "symmetric": lambda: parametrized(nn.Linear(3, 3), "weight", Symmetric()),
    "low rank": lambda: parametrized(nn.Linear(3, 2), "weight", LowRank(2, 3)),
    "two originals": lambda: parametrized(nn.Linear(3, 2), "weight", Split()),
    "a layer": lambda: parametrized(nn.Linear(3, 2), "weight", Scaled()),
    "weight and bias": lambda: parametrized(
        parametrized(nn.Linear(3, 2), "weight", LowRank(2, 3)), "bias", nn.Softplus()
    ),
    "stacked": lambda: parametrized(
        nn.Linear(3, 3), "weight", Symmetric(), LowRank(3, 3), nn.Tanh()
    ),
    "stacked norms": stacked_norms,
    "tied originals": tied_originals,
    "shared parametrization": shared_parametrization,
    "a buffer": on_a_buffer,
    "cached in forward": Rereading,
    "read by the parent": Reading,
    "norm of a norm": lambda: parametrized(nn.LayerNorm(3), "weight", nn.Softplus()),
    "old norms": old_norms,
    "pruned globally": pruned_globally,
}
# A net, and what it is called with.
LAYERS: dict[str, tuple[Net, Callable[[], Any]]] = {
    "LSTM": (lambda: recurrent(nn.LSTM), lambda: (inputs(4, 2, 3),)),
    "GRU": (lambda: recurrent(nn.GRU), lambda: (inputs(4, 2, 3),)),
    "RNN": (lambda: recurrent(nn.RNN), lambda: (inputs(4, 2, 3),)),
    "LSTMCell": (
        lambda: parametrizations.weight_norm(nn.LSTMCell(3, 2), "weight_ih"),
        lambda: (inputs(4, 3),),
    ),
    "MultiheadAttention": (attention, lambda: (inputs(2, 3, 4),) * 3),
    "Conv2d": (
        lambda: parametrizations.spectral_norm(nn.Conv2d(2, 3, 2)),
        lambda: (inputs(2, 2, 4, 4),),
    ),
    "ConvTranspose1d": (
        lambda: parametrizations.weight_norm(nn.ConvTranspose1d(2, 3, 2)),
        lambda: (inputs(2, 2, 4),),
    ),
    "Embedding": (
        lambda: parametrized(nn.Embedding(5, 3, padding_idx=1), "weight", nn.Tanh()),
        lambda: (torch.tensor([[0, 1], [4, 4]]),),
    ),
    "EmbeddingBag": (
        lambda: parametrizations.weight_norm(nn.EmbeddingBag(5, 3)),
        lambda: (torch.tensor([[0, 1], [4, 4]]),),
    ),
    "BatchNorm1d": (
        lambda: parametrized(nn.BatchNorm1d(3), "weight", nn.Softplus()),
        lambda: (inputs(6, 3),),
    ),
    "Bilinear": (
        lambda: parametrizations.orthogonal(nn.Bilinear(3, 3, 2)),
        lambda: (inputs(4, 3), inputs(4, 3)),
    ),
    "old weight norm of an LSTM": (
        lambda: nn.utils.weight_norm(nn.LSTM(3, 2), "weight_hh_l0"),
        lambda: (inputs(4, 2, 3),),
    ),
}


@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_a_parametrized_net_is_the_plain_one_in_every_way(make: Net) -> None:
    assert_the_same_in_every_way(make, inputs())


@pytest.mark.parametrize(("make", "x"), LAYERS.values(), ids=LAYERS)
def test_a_parametrized_layer_is_the_plain_one_in_every_way(make: Net, x) -> None:
    assert_the_same_in_every_way(make, *x())


# ── what is assigned ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("modules", [[Symmetric], [Symmetric, Symmetric], [Split]], ids=str)
def test_assigning_to_a_converted_net_goes_through_the_right_inverse(modules) -> None:
    value = inputs(3, 3).tanh() * 0.4
    value = value + value.mT
    net = parametrized(nn.Linear(3, 3), "weight", *(module() for module in modules))

    DependentModule(net).weight = value

    torch.testing.assert_close(net.weight, value)


def test_assigning_the_weight_inside_a_call_does_not_reach_the_original() -> None:
    class Assigning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = parametrized(nn.Linear(3, 3), "weight", Symmetric())

        def forward(self, x: Tensor) -> Tensor:
            self.layer.parametrizations.weight.original = torch.eye(3)
            return self.layer(x)

    net = Assigning()
    before = net.layer.parametrizations.weight.original
    weights = moved(net)

    Learner(net).functional(weights, True, inputs())

    assert net.layer.parametrizations.weight.original is before


# ── cached() ─────────────────────────────────────────────────────────────────────────────────


def orthogonal() -> nn.Module:
    return nn.Sequential(parametrizations.orthogonal(nn.Linear(3, 3)), nn.Tanh())


@pytest.mark.parametrize(
    "make",
    [orthogonal, lambda: DependentModule(orthogonal()), Rereading],
    ids=["plain", "dependent", "rereading"],
)
def test_calls_inside_one_cached_block_use_the_weights_they_were_given(make) -> None:
    net, x = make(), inputs()
    learner, many = Learner(net), [moved(net) for _ in range(4)]
    wanted = [learner.functional(weights, True, x) for weights in many]

    with parametrize.cached():
        found = [learner.functional(weights, True, x) for weights in many]

    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


def test_instances_inside_one_cached_block_do_not_meet() -> None:
    net, x = orthogonal(), inputs()
    many = [moved(net) for _ in range(3)]
    models = [Learner(net).bind(weights) for weights in many]
    wanted = [model(x) for model in models]

    with parametrize.cached():
        net(x)
        found = [model(x) for model in models]

    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


def test_substitution_inside_a_cached_block_is_followed() -> None:
    net, x = DependentModule.stateless(orthogonal()), inputs()
    many = [[torch.randn_like(p) for p in orthogonal().parameters()] for _ in range(3)]
    learner = Learner(orthogonal())
    wanted = []
    for weights in many:
        net.substitute_from_list(weights)
        wanted.append(net(x))

    found = []
    with parametrize.cached():
        for weights in many:
            net.substitute_from_list(weights)
            found.append(net(x))

    assert len({float(w.sum()) for w in wanted}) == 3
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)
    assert type(learner.module) is nn.Sequential


def test_a_net_parametrized_after_its_conversion_is_cached_by_instance_too() -> None:
    net, x = DependentModule(nn.Linear(3, 3)), inputs()
    parametrizations.orthogonal(net)
    learner, many = Learner(net), [moved(net) for _ in range(3)]
    wanted = [learner.functional(weights, True, x) for weights in many]

    with parametrize.cached():
        found = [learner.functional(weights, True, x) for weights in many]

    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("call", ["converted", "functional"])
def test_inside_a_cached_block_a_parametrization_is_computed_once(call: str) -> None:
    class Counting(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Counting.calls += 1
            return x * 2

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = parametrized(nn.Linear(3, 3), "weight", Counting())

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    net = Twice()
    model = DependentModule(net) if call == "converted" else Learner(net).bind(moved(net))
    Counting.calls = 0

    with parametrize.cached():
        model(inputs())
    assert Counting.calls == 1
    model(inputs())
    assert Counting.calls == 3


def test_a_cached_value_does_not_outlive_its_block() -> None:
    net = orthogonal()
    learner, x = Learner(net), inputs()
    weights = moved(net)
    with parametrize.cached():
        before = learner.functional(weights, True, x)
    with torch.no_grad():
        for weight in weights:
            weight.add_(0.5)

    with parametrize.cached():
        after = learner.functional(weights, True, x)

    assert not torch.allclose(after, before)

"""After random sequences of changes the next call, and the next instance, are right."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from small_nets import by_name, inputs
from torch import Tensor, nn
from torch.nn.utils import parametrize

from metann import DependentModule, Learner


class Box(nn.Module):
    """Holds others in every way a module can: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.named, self.listed, self.chain = nn.ModuleDict(), nn.ModuleList(), nn.Sequential()
        self.gain: nn.Parameter | None = nn.Parameter(torch.randn(3))
        self.register_buffer("shift", torch.randn(3))
        self.again: list[Tensor | nn.Module] = []
        self.factor = 1.0
        self.optional: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        for name in sorted(self.named):
            x = torch.tanh(self.named[name](x)) + len(name) * 0.1
        for layer in [*self.listed, *self.chain, *filter(None, [self.optional])]:
            x = layer(x) * 0.9
        for kept in self.again:
            x = x * torch.cos(kept) if isinstance(kept, Tensor) else kept(x)
        if self.training:
            self.shift = self.shift + 0.1
        return (x if self.gain is None else x * torch.cos(self.gain)) * self.factor + self.shift


def boxes(net: nn.Module) -> list[Box]:
    return [module for module in net.modules() if isinstance(module, Box)]


def leaf(draw: random.Random) -> nn.Module:
    kinds: list[Callable[[], nn.Module]] = [
        Box,
        nn.Tanh,
        lambda: nn.Linear(3, 3),
        lambda: nn.Linear(3, 3, bias=False),
        lambda: nn.LayerNorm(3),
        lambda: nn.BatchNorm1d(3),
    ]
    return draw.choice(kinds)()


def any_other(net: nn.Module, box: Box, draw: random.Random) -> nn.Module:
    """Some module of the tree that does not hold `box`, or a new one."""
    others = [m for m in net.modules() if not any(inner is box for inner in m.modules())]
    return draw.choice([m for m in others if hasattr(m, "weight")] or [leaf(draw)])


def any_gain(net: nn.Module, draw: random.Random) -> nn.Parameter:
    return draw.choice(
        [p for p in net.parameters() if p.shape == (3,)] or [nn.Parameter(inputs(3))]
    )


def exchange_names(net: nn.Module, box: Box, draw: random.Random) -> None:
    if len(box.named) > 1:
        one, two = draw.sample(list(box.named), 2)
        first, second = box.named.pop(one), box.named.pop(two)
        box.named[two], box.named[one] = first, second


def remove_one(net: nn.Module, box: Box, draw: random.Random) -> None:
    if len(box.chain):
        del box.chain[draw.randrange(len(box.chain))]
    elif box.named:
        box.named.pop(draw.choice(list(box.named)))


def parametrize_one(net: nn.Module, box: Box, draw: random.Random) -> None:
    plain = [m for m in net.modules() if type(m) is nn.Linear]
    for layer in plain[:1]:
        parametrize.register_parametrization(layer, "weight", nn.Softplus())


Change = Callable[[nn.Module, Box, random.Random], object]
CHANGES: list[Change] = [
    exchange_names,
    remove_one,
    parametrize_one,
    lambda net, box, draw: box.named.update({f"name{draw.randrange(4)}": leaf(draw)}),
    lambda net, box, draw: box.named.update({"other": any_other(net, box, draw)}),
    lambda net, box, draw: box.listed.append(leaf(draw)),
    lambda net, box, draw: box.listed.insert(0, leaf(draw)),
    lambda net, box, draw: box.chain.append(leaf(draw)),
    lambda net, box, draw: setattr(box, "optional", draw.choice([None, leaf(draw)])),
    lambda net, box, draw: setattr(box, "gain", draw.choice([None, nn.Parameter(inputs(3))])),
    lambda net, box, draw: setattr(box, "gain", any_gain(net, draw)),
    lambda net, box, draw: box.again.append(any_gain(net, draw)),
    lambda net, box, draw: setattr(box, "factor", draw.random() + 0.5),
    lambda net, box, draw: setattr(box, "shift", inputs(3)),
    lambda net, box, draw: box.register_buffer(f"extra{draw.randrange(3)}", inputs(2)),
    lambda net, box, draw: draw.choice([*net.modules()]).train(draw.random() < 0.5),
    lambda net, box, draw: box.register_forward_hook(lambda module, args, out: out * 1.1),
    lambda net, box, draw: DependentModule(box) if draw.random() < 0.2 else None,
]


def with_weights(net: nn.Module, weights: list[Tensor]) -> nn.Module:
    """A copy that holds these values."""
    copied = deepcopy(net)
    for parameter, weight in zip(copied.parameters(), weights, strict=True):
        parameter.data = weight.clone()
    return copied


@pytest.mark.parametrize("seed", range(12))
def test_after_each_of_a_series_of_random_changes_the_next_call_is_right(seed: int) -> None:
    torch.manual_seed(seed)
    draw, net = random.Random(seed), Box()
    learner = Learner(net)

    for _ in range(15):
        draw.choice(CHANGES)(net, draw.choice(boxes(net)), draw)
        x, training = inputs(), draw.random() < 0.5
        weights = [0.5 * torch.randn_like(p) for p in net.parameters()]
        reference = with_weights(net, weights)

        bound = learner.bind(by_name(net, weights))
        called = learner.functional(weights, training, x)

        assert list(bound.state_dict()) == list(net.state_dict())
        assert torch.allclose(bound(x), deepcopy(reference)(x), atol=1e-10)
        assert torch.allclose(called, reference.train(training)(x), atol=1e-10)

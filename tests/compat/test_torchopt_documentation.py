"""What TorchOpt's documentation shows runs on metann.compat.torchopt, and is right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchopt_snippets as snippets
from by_hand import CLOSE, slope, trained
from torch import Tensor, nn

import metann.compat.torchopt as torchopt

# What `torch.optim` calls the same.
IN_TORCH: dict[str, type[torch.optim.Optimizer]] = {
    "MetaSGD": torch.optim.SGD,
    "MetaAdam": torch.optim.Adam,
    "MetaAdamW": torch.optim.AdamW,
    "MetaRMSProp": torch.optim.RMSprop,
    "MetaAdaGrad": torch.optim.Adagrad,
    "MetaAdaDelta": torch.optim.Adadelta,
    "MetaAdaMax": torch.optim.Adamax,
    "MetaRAdam": torch.optim.RAdam,
}
START = torch.tensor(0.3, dtype=torch.float64)
every_optimizer = pytest.mark.parametrize("name", snippets.OPTIMIZERS)


def torch_optimizer(name: str) -> Callable[[nn.Module], torch.optim.Optimizer]:
    kind, settings = snippets.OPTIMIZERS[name]
    make: Any = IN_TORCH[kind]
    return lambda net: make(net.parameters(), **settings)  # type: ignore[no-any-return]


def losses_of(batches: Any, meta: Tensor) -> list[Callable[[nn.Module], Tensor]]:
    return [lambda net, batch=b: snippets.inner_loss(net, batch, meta) for b in batches]  # type: ignore[misc]


@every_optimizer
def test_an_inner_loop_ends_where_torchs_optimizer_does(name: str) -> None:
    net, meta = snippets.small_net(), torch.tensor(0.3, requires_grad=True)
    batches = [snippets.data() for _ in range(5)]
    expected = trained(net, torch_optimizer(name), losses_of(batches[:-1], meta.detach()))

    _, *found = snippets.meta_optimizer(torchopt, net, batches, meta, name)

    torch.testing.assert_close(found[:4], [*expected.parameters()], **CLOSE)


@every_optimizer
def test_the_meta_gradient_of_an_inner_loop_is_that_of_finite_differences(name: str) -> None:
    net, meta = snippets.small_net(), torch.tensor(0.3, requires_grad=True)
    assert meta == START
    batches = [snippets.data() for _ in range(4)]
    along = [torch.randn_like(p) for p in net.parameters()]

    def outer(model: nn.Module, at: Tensor = START) -> Tensor:
        adapted = trained(model, torch_optimizer(name), losses_of(batches[:-1], at))
        x, y = batches[-1]
        return F.mse_loss(adapted(x), y)

    expected = slope(outer, copy.deepcopy(net), along)
    by_meta = (outer(net, START + 1e-6) - outer(net, START - 1e-6)) / 2e-6
    *_, at_meta, w0, b0, w1, b1 = snippets.meta_optimizer(torchopt, net, batches, meta, name)
    found = sum((g * d).sum() for g, d in zip((w0, b0, w1, b1), along, strict=True))

    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(at_meta, by_meta.detach(), rtol=1e-5, atol=1e-7)


def test_the_functional_optimizer() -> None:
    net, batches = snippets.small_net(), [snippets.data() for _ in range(3)]
    losses = losses_of(batches, torch.tensor(0.0))
    make = torch.optim.Adam
    expected = trained(net, lambda model: make(model.parameters(), lr=0.1), losses)

    found = snippets.functional_optimizer(torchopt, net, batches)

    torch.testing.assert_close(found, [*expected.parameters()], **CLOSE)
    assert all(a is b for a, b in zip(found, net.parameters(), strict=True))


def test_the_func_optimizer() -> None:
    net, batches = snippets.small_net(), [snippets.data() for _ in range(3)]
    losses = losses_of(batches, torch.tensor(0.0))
    make = torch.optim.Adam
    expected = trained(net, lambda model: make(model.parameters(), lr=0.1), losses)

    found = snippets.func_optimizer(torchopt, net, batches)

    torch.testing.assert_close(found, [*expected.parameters()], **CLOSE)


def adam_with_root(grads: list[Tensor], root: float) -> Tensor:
    """The last of Adam's updates for these gradients, by its formulas, with eps_root."""
    m = v = torch.zeros_like(grads[0])
    for g in grads:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    t = len(grads)
    return -0.1 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t) + root).sqrt() + 1e-8)


def test_the_differentiable_functional_optimizer() -> None:
    net, batch = snippets.small_net(), snippets.data()
    meta = torch.tensor(0.3, requires_grad=True)
    names, first = zip(*net.named_parameters(), strict=True)
    params: tuple[Tensor, ...] = first
    history: list[tuple[Tensor, ...]] = []
    for _ in range(3):
        fast = dict(zip(names, params, strict=True))
        loss = snippets.inner_loss(partial(snippets.called, net, fast), batch, meta)
        history.append(torch.autograd.grad(loss, params, create_graph=True))
        updates = [adam_with_root([*column], 1e-2) for column in zip(*history, strict=True)]
        params = tuple(p + u for p, u in zip(params, updates, strict=True))
    outer: Any = sum(p.square().sum() for p in params)
    grads = torch.autograd.grad(outer, [meta, *first])

    found = snippets.differentiable_functional(torchopt, net, batch, meta)

    torch.testing.assert_close(found, [*params, *grads], **CLOSE)


def test_the_two_levels_are_one() -> None:
    low, high = snippets.low_and_high_level(torchopt)
    # a <- a - lr * 2 a x: two steps with lr = 0.1 make (1 - 0.2 x)^2 of 1, and x = 2.
    expected = [torch.tensor(0.36), torch.tensor(0.6**4 - 0.8 * 2 * 0.6**3)]

    torch.testing.assert_close(low, expected, **CLOSE)
    torch.testing.assert_close(high, expected, **CLOSE)


def test_the_general_utilities() -> None:
    first, second = snippets.general_utilities(torchopt)

    # The gradient is 2 a x: Adam's first step is by 1 almost exactly, and a stays about 0.
    x, a, m, v = 2.0, 1.0, 0.0, 0.0
    for t in (1, 2):
        g = 2 * a * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        a -= (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
    torch.testing.assert_close(first[0], torch.tensor(a), **CLOSE)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_stop_gradient() -> None:
    x, y = batch = snippets.data()
    torch.manual_seed(1)
    fc = nn.Linear(3, 1)
    weight, bias = fc.weight.detach(), fc.bias.detach()
    meta = nn.Parameter(torch.tensor(1.0))
    outer = torch.optim.Adam([meta], lr=1e-1)
    expected = []
    for _ in range(2):
        weight, bias = weight.detach().requires_grad_(), bias.detach().requires_grad_()
        grads = torch.autograd.grad(F.mse_loss(F.linear(x, weight, bias), y), [weight, bias])
        weight, bias = weight - 0.1 * meta * grads[0], bias - 0.1 * meta * grads[1]
        loss = F.mse_loss(F.linear(x, weight, bias), y)
        outer.zero_grad()
        loss.backward()
        assert meta.grad is not None
        expected += [loss.detach(), meta.grad.clone()]
        outer.step()

    torch.manual_seed(1)
    found = snippets.stop_gradient(torchopt, batch)

    torch.testing.assert_close(found, [*expected, meta.detach()], **CLOSE)


def test_a_chain_with_clipping() -> None:
    net, batches = snippets.small_net(), [snippets.data() for _ in range(3)]
    expected = copy.deepcopy(net)
    for x, y in batches:
        grads = torch.autograd.grad(F.mse_loss(expected(x), y), [*expected.parameters()])
        norm = torch.cat([g.flatten() for g in grads]).norm()
        assert norm > 0.2
        with torch.no_grad():
            for p, g in zip(expected.parameters(), grads, strict=True):
                p -= 0.5 * g * 0.2 / (norm + 1e-6)

    found = snippets.chained(torchopt, net, batches)

    torch.testing.assert_close(found, [*expected.parameters()], **CLOSE)


def test_a_chain_with_a_hook_takes_the_steps_of_one_without() -> None:
    net, batches = snippets.small_net(), [snippets.data() for _ in range(3)]
    make = torch.optim.Adam
    losses = losses_of(batches, torch.tensor(0.0))
    expected = trained(net, lambda model: make(model.parameters(), lr=0.1), losses)

    found = snippets.hooked(torchopt, net, batches)

    torch.testing.assert_close(found, [*expected.parameters()], **CLOSE)


RATES = {
    "linear": [0.1, 0.1, 0.07, 0.04, 0.01, 0.01],
    "polynomial": [0.1, 0.05, 0.02, 0.01, 0.01, 0.01],
    "exponential": [0.1, 0.1, 0.1, 0.05, 0.05, 0.03],
}


@pytest.mark.parametrize("kind", RATES)
def test_a_schedule(kind: str) -> None:
    net, batches = snippets.small_net(), [snippets.data() for _ in range(6)]
    expected = copy.deepcopy(net)
    adam = torch.optim.Adam(expected.parameters())
    for rate, (x, y) in zip(RATES[kind], batches, strict=True):
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        F.mse_loss(expected(x), y).backward()
        adam.step()

    found = snippets.scheduled(torchopt, net, batches, kind)

    torch.testing.assert_close(found, [*expected.parameters()], **CLOSE)

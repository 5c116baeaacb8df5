"""Activation checkpointing in a module that metann.compat.torchopt takes steps with."""

from __future__ import annotations

import copy

import pytest
import torch
from by_hand import CLOSE, descended, loss_at
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import metann.compat.torchopt as torchopt
from metann import MAML
from metann.errors import ArgumentError


class Checkpointed(nn.Module):
    """Its backbone, or all of it, is computed again in the backward pass."""

    def __init__(self, is_whole: bool = True) -> None:
        super().__init__()
        self.linear, self.head, self.is_whole = nn.Linear(3, 4), nn.Linear(4, 2), is_whole

    def forward(self, x: Tensor) -> Tensor:
        if self.is_whole:
            return checkpoint(self._all, x, use_reentrant=False)
        return self.head(checkpoint(self._backbone, x, use_reentrant=False))

    def _all(self, x: Tensor) -> Tensor:
        return self.head(self._backbone(x))

    def _backbone(self, x: Tensor) -> Tensor:
        return self.linear(x).tanh()


class OfItsOwn(nn.Module):
    """A forward that reads the weight itself, and is no call of a module."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(lambda x: F.linear(x, self.weight).tanh(), x, use_reentrant=False)


class Plain(OfItsOwn):
    """The same without checkpointing."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight).tanh()


Data = tuple[Tensor, Tensor]


def batch() -> Data:
    return torch.randn(6, 3), torch.randint(2, (6,))


def evaluator(net: nn.Module, data: Data) -> Tensor:
    return F.cross_entropy(net(data[0]), data[1])


def plain(net: Checkpointed) -> nn.Module:
    return nn.Sequential(copy.deepcopy(net.linear), nn.Tanh(), copy.deepcopy(net.head))


@pytest.mark.parametrize("is_whole", [True, False])
def test_T83_a_step_that_would_be_wrong_is_an_error_and_nothing_is_changed(is_whole: bool) -> None:
    net, data = Checkpointed(is_whole), batch()
    optimizer = torchopt.MetaSGD(net, lr=0.1)
    before = [*net.parameters()]

    with pytest.raises(ArgumentError, match=r"has called a DependentLinear .* again.*metann\.MAML"):
        optimizer.step(evaluator(net, data))

    assert all(a is b for a, b in zip(net.parameters(), before, strict=True))
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_T83_maml_is_right_as_the_page_says() -> None:
    net, support, query = Checkpointed(), batch(), batch()
    first, weights = descended(plain(net), [support] * 2, 0.1)
    expected = torch.autograd.grad(loss_at(plain(net), weights, *query), [*first.values()])

    adapted = MAML(net, 2, 2, 0.1, evaluator).adapt(support).model

    found = torch.autograd.grad(evaluator(adapted, query), [*net.parameters()])
    torch.testing.assert_close(found, expected, **CLOSE)


def test_T83_a_step_without_a_graph_is_right() -> None:
    net, support, query = Checkpointed(), batch(), batch()
    other = plain(net)
    _, weights = descended(other, [support] * 2, 0.1)
    optimizer = torchopt.MetaSGD(net, lr=0.1)

    for _ in range(2):
        loss = evaluator(net, support)
        with torch.no_grad():
            optimizer.step(loss)

    torch.testing.assert_close(evaluator(net, query), loss_at(other, weights, *query), **CLOSE)


def meta_gradient(net: nn.Module, support: Data, query: Data, lr: float) -> tuple[Tensor, ...]:
    first = [p for p in net.parameters() if p.requires_grad]
    optimizer = torchopt.MetaSGD(net, lr=lr)
    for _ in range(2):
        optimizer.step(evaluator(net, support))
    return torch.autograd.grad(evaluator(net, query), first)


def test_T83_a_backbone_that_is_frozen_may_be_computed_again() -> None:
    net, support, query = Checkpointed(is_whole=False), batch(), batch()
    net.linear.requires_grad_(False)
    expected = meta_gradient(plain(net), support, query, 0.1)

    torch.testing.assert_close(meta_gradient(net, support, query, 0.1), expected, **CLOSE)


def test_T83_what_reads_its_own_weights_is_wrong_as_the_page_says() -> None:
    net, other, support, query = OfItsOwn(), Plain(), batch(), batch()
    other.load_state_dict(net.state_dict())
    expected = meta_gradient(other, support, query, 2.0)

    found = meta_gradient(net, support, query, 2.0)

    assert (found[0] - expected[0]).abs().max() > 1e-4

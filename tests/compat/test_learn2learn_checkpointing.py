"""Activation checkpointing in metann.compat.learn2learn where no call keeps the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import learn2learn_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, trained
from models_of_many import Encodes
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import metann.compat.learn2learn as l2l
from metann.errors import CompatError

KINDS: dict[str, Callable[..., Any]] = {
    "MAML": lambda net, **options: l2l.algorithms.MAML(net, lr=0.1, **options),
    "MetaSGD": lambda net, **options: l2l.algorithms.MetaSGD(net, lr=0.1, **options),
    "GBML": lambda net, **options: l2l.algorithms.GBML(net, lambda p: None, lr=0.1, **options),
}
WAYS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a method": lambda clone, x: clone.encode(x),
    "the module": lambda clone, x: clone.module(x),
    "the whole": lambda clone, x: checkpoint(clone, x, use_reentrant=False),
    "a submodule": lambda clone, x: checkpoint(clone.linear, x, use_reentrant=False),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_T83_a_step_whose_backward_pass_calls_the_clone_is_refused(kind: str, way: str) -> None:
    clone, (x, y) = KINDS[kind](Encodes()).clone(), snippets.batches(1)[0]
    before = [*clone.parameters()]

    with pytest.raises(CompatError, match=r"called a \w+ again, .*checkpoint.* Let the check"):
        clone.adapt(F.cross_entropy(WAYS[way](clone, x), y))

    assert all(p is old for p, old in zip(clone.parameters(), before, strict=True))
    clone.adapt(F.cross_entropy(clone(x), y))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_T83_steps_of_first_order_are_right_all_the_same(kind: str, way: str) -> None:
    model, (x, y) = Encodes(), snippets.batches(1)[0]
    clone = KINDS[kind](model, first_order=True).clone()

    def sgd(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(net.parameters(), lr=0.1)

    expected = trained(model, sgd, [lambda net: F.cross_entropy(net.linear(x), y)] * 2)
    for _ in range(2):
        clone.adapt(F.cross_entropy(WAYS[way](clone, x), y))

    found = [p.detach() for p in clone.module.parameters()]
    torch.testing.assert_close(found, [p.detach() for p in expected.parameters()], **CLOSE)

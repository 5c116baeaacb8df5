"""Activation checkpointing in metann.compat.higher where no call keeps the weights: an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import higher_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, trained
from models_of_many import Encodes
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from metann.compat import higher
from metann.errors import CompatError


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


WAYS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a method": lambda fmodel, x: fmodel.encode(x),
    "the module": lambda fmodel, x: fmodel.module(x),
    "a submodule": lambda fmodel, x: checkpoint(fmodel.linear, x, use_reentrant=False),
    "the whole": lambda fmodel, x: checkpoint(fmodel, x, use_reentrant=False),
}


@pytest.mark.parametrize("way", WAYS)
def test_T83_a_step_whose_backward_pass_calls_the_model_is_refused(way: str) -> None:
    model, (x, y) = Encodes(), snippets.batches(1)[0]
    with higher.innerloop_ctx(model, sgd(model), copy_initial_weights=False) as (fmodel, diffopt):
        loss = F.cross_entropy(WAYS[way](fmodel, x), y)
        before = fmodel.fast_params

        with pytest.raises(CompatError, match=r"called a \w+ again, .*checkpoint.* Let the check"):
            diffopt.step(loss)

        assert fmodel.fast_params is before
        diffopt.step(F.cross_entropy(fmodel(x), y))


@pytest.mark.parametrize("way", WAYS)
def test_T83_steps_without_a_graph_are_right_all_the_same(way: str) -> None:
    model, (x, y) = Encodes(), snippets.batches(1)[0]
    expected = trained(model, sgd, [lambda net: F.cross_entropy(net.linear(x), y)] * 2)

    with higher.innerloop_ctx(model, sgd(model), track_higher_grads=False) as (fmodel, diffopt):
        for _ in range(2):
            diffopt.step(F.cross_entropy(WAYS[way](fmodel, x), y))

    found = [p.detach() for p in fmodel.parameters()]
    torch.testing.assert_close(found, [p.detach() for p in expected.parameters()], **CLOSE)

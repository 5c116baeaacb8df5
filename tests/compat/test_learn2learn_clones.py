"""What a clone is besides its weights: modes, copies, what is learned, and where it is cut off."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import learn2learn_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, descended, loss_at
from torch import Tensor, nn

import metann.compat.learn2learn as l2l
import metann.optim

MAML, MetaSGD, GBML = l2l.algorithms.MAML, l2l.algorithms.MetaSGD, l2l.algorithms.GBML

KINDS: dict[str, Callable[[nn.Module], Any]] = {
    "MAML": lambda net: MAML(net, lr=0.1),
    "MetaSGD": lambda net: MetaSGD(net, lr=0.1),
    "GBML": lambda net: GBML(net, snippets.scaled, lr=0.1),
}


def loss_of(clone: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(clone(batch[0]), batch[1])


# ── modes ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_keeps_the_mode_of_every_module(kind: str) -> None:
    model = nn.Sequential(snippets.small_net(), nn.BatchNorm1d(2), nn.Dropout(0.5))
    model[1].eval()
    model[0][1].eval()
    learner = KINDS[kind](model)
    modes = [part.training for part in model.modules()]

    assert [part.training for part in learner.clone().module.modules()] == modes
    assert len({*modes}) == 2
    assert learner.clone().training is True
    learner.eval()
    assert not any(part.training for part in learner.clone().modules())


def test_the_meta_gradient_of_a_net_with_frozen_statistics() -> None:
    model, data = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), snippets.batches()
    model(torch.randn(20, 3) * 3 + 1)  # Statistics that no batch has.
    model[1].eval()
    first, weights = descended(model, [data[0]] * 2, 0.1)
    expected = torch.autograd.grad(loss_at(model, weights, *data[1]), [*first.values()])

    clone = MAML(model, lr=0.1).clone()
    for _ in range(2):
        clone.adapt(loss_of(clone, data[0]))
    found = torch.autograd.grad(loss_of(clone, data[1]), [*model.parameters()])

    torch.testing.assert_close(found, expected, **CLOSE)


# ── copies ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_copy_of_a_clone_is_a_clone_within_the_graph(kind: str) -> None:
    model, data = snippets.small_net(), snippets.batches()
    learner = KINDS[kind](model)
    clone = learner.clone()
    clone.adapt(loss_of(clone, data[0]))

    copied = copy.deepcopy(clone)

    assert type(copied) is type(learner)
    assert copied.module[0].weight is not clone.module[0].weight
    found = []
    for each in (copied, clone):
        each.adapt(loss_of(each, data[0]))
        loss = loss_of(each, data[1])  # Both have the graph of the first step.
        found.append(torch.autograd.grad(loss, [*learner.parameters()], retain_graph=True))
    torch.testing.assert_close(found[0], found[1], **CLOSE)


def test_a_deep_copy_of_a_clone_goes_on_with_its_momentum() -> None:
    model, data = snippets.small_net(), snippets.batches()
    clone = MAML(model, 0.1, optimizer=metann.optim.SGD(lr=0.1, momentum=0.9)).clone()
    clone.adapt(loss_of(clone, data[0]))
    copied = copy.deepcopy(clone)
    for each in (clone, copied):
        each.adapt(loss_of(each, data[0]))

    grads = [
        torch.autograd.grad(loss_of(each, data[1]), [*model.parameters()], retain_graph=True)
        for each in (clone, copied)
    ]

    torch.testing.assert_close(grads[0], grads[1], **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrapper_of_a_model_that_copies_itself_is_copied(kind: str) -> None:
    class Copies(nn.Linear):
        def __deepcopy__(self, memo: dict[int, Any]) -> Copies:
            return Copies(self.in_features, self.out_features)

    learner = KINDS[kind](Copies(3, 2))

    copied = copy.deepcopy(learner)

    assert (type(copied), type(copied.module)) == (type(learner), Copies)


# ── an optimiser: what is learned, and where it is cut off ───────────────────────────────────


def test_the_learned_rate_of_an_optimizer_is_registered_and_trained() -> None:
    model, data = snippets.small_net(), snippets.batches()
    rate = nn.Parameter(torch.tensor(0.1))
    maml = MAML(model, 1.0, optimizer=metann.optim.SGD(lr=rate))
    first, weights = descended(model, [data[0]] * 2, rate)
    expected = torch.autograd.grad(loss_at(model, weights, *data[1]), [rate, *first.values()])
    clone = maml.clone()
    for _ in range(2):
        clone.adapt(loss_of(clone, data[0]))

    loss_of(clone, data[1]).backward()

    names = ["module." + name for name in model.state_dict()]
    assert [name for name, _ in maml.named_parameters()] == [*names, "hyper_parameters.lr"]
    assert [*maml.state_dict()] == [*names, "hyper_parameters.lr"]
    assert [name for name, _ in clone.named_parameters()] == names
    found = [rate.grad, *(p.grad for p in model.parameters())]
    torch.testing.assert_close(found, [*expected], **CLOSE)


def test_a_state_dict_that_is_assigned_brings_the_rate_that_clones_use() -> None:
    model, (x, y) = snippets.small_net(), snippets.batches(1)[0]
    maml = MAML(model, 1.0, optimizer=metann.optim.SGD(lr=nn.Parameter(torch.tensor(0.1))))
    state = copy.deepcopy(maml).state_dict()
    state["hyper_parameters.lr"] = torch.tensor(0.5)
    grads = torch.autograd.grad(F.cross_entropy(model(x), y), [*model.parameters()])
    expected = [p - 0.5 * grad for p, grad in zip(model.parameters(), grads, strict=True)]

    maml.load_state_dict(state, assign=True)
    clone = maml.clone()
    clone.adapt(loss_of(clone, (x, y)))
    of_the_copy = copy.deepcopy(maml).clone()
    of_the_copy.adapt(loss_of(of_the_copy, (x, y)))

    torch.testing.assert_close([*clone.parameters()], expected, **CLOSE)
    torch.testing.assert_close([*of_the_copy.parameters()], expected, **CLOSE)


def test_modules_of_an_optimizer_are_registered_until_another_is_set() -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(2.0))

        def forward(self, grads: list[Tensor]) -> list[Tensor]:
            return [self.factor * grad for grad in grads]

    doubled = Doubled()
    ours = metann.optim.transformed(metann.optim.SGD(lr=0.1), doubled)
    maml = MAML(nn.Linear(3, 2), 1.0, optimizer=ours)

    assert [p for p in maml.parameters() if p is doubled.factor] != []
    maml.optimizer = metann.optim.SGD(lr=0.1)
    assert [*maml.state_dict()] == ["module.weight", "module.bias"]


def test_a_detached_clone_has_no_graph_through_its_momentum() -> None:
    model, data = snippets.small_net(), snippets.batches()
    clone = MAML(model, 0.1, optimizer=metann.optim.SGD(lr=0.1, momentum=0.9)).clone()
    copied = copy.deepcopy(model)
    plain = torch.optim.SGD(copied.parameters(), lr=0.1, momentum=0.9)
    for number in range(3):
        if number:
            l2l.detach_module(clone, keep_requires_grad=True)
        clone.adapt(loss_of(clone, data[0]))
        plain.zero_grad()
        loss_of(copied, data[0]).backward()
        plain.step()

    loss = loss_of(clone, data[1])

    found = torch.autograd.grad(loss, [*model.parameters()], allow_unused=True)
    assert found == (None,) * 4
    torch.testing.assert_close([*clone.parameters()], [*copied.parameters()], **CLOSE)

"""What learn2learn's documentation shows runs on metann.compat.learn2learn, and is right."""

from __future__ import annotations

import copy
from typing import Any

import learn2learn_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, Weights, descended, gradients, loss_at
from torch import Tensor, nn

import metann.compat.learn2learn as l2l

Data = list[tuple[Tensor, Tensor]]


def leaves(model: nn.Module) -> Weights:
    return {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}


def query_gradients(model: nn.Module, data: Data, first: Weights, weights: Weights) -> list[Tensor]:
    """By the first weights, of the loss on the last batch."""
    return [*torch.autograd.grad(loss_at(model, weights, *data[-1]), [*first.values()])]


@pytest.mark.parametrize("first_order", [False, True])
def test_few_shot_learning(first_order: bool) -> None:
    model, data = snippets.small_net(), snippets.batches()
    by_hand, losses = copy.deepcopy(model), []
    for batch, query in zip(data, reversed(data), strict=True):
        order = 1 if first_order else 2
        first, weights = descended(by_hand, [batch] * 2, 0.1, order)
        losses.append(loss_at(by_hand, weights, *query))
        sources = weights if first_order else first
        grads = torch.autograd.grad(losses[-1], [*sources.values()])
        with torch.no_grad():
            for p, grad in zip(by_hand.parameters(), grads, strict=True):
                p.sub_(0.05 * grad)

    found = snippets.few_shot_learning(l2l, model, data, first_order=first_order)

    torch.testing.assert_close(
        [value.detach() for value in found],
        [value.detach() for value in (*losses, *by_hand.parameters())],
        **CLOSE,
    )


def test_meta_sgd() -> None:
    model, data = snippets.small_net(), snippets.batches()
    first = leaves(model)
    rates = {name: torch.full_like(p, 0.1).requires_grad_() for name, p in first.items()}
    weights = first
    for _ in range(2):
        grads = gradients(loss_at(model, weights, *data[0]), weights)
        weights = {name: p - rates[name] * grads[name] for name, p in weights.items()}
    loss = loss_at(model, weights, *data[1])
    expected = torch.autograd.grad(loss, [*first.values(), *rates.values()])

    torch.testing.assert_close(
        snippets.meta_sgd(l2l, model, data), [loss, *expected], check_layout=False, **CLOSE
    )


@pytest.mark.parametrize("snippet", [snippets.maml_update, snippets.clone_and_update])
def test_an_update_by_hand(snippet: Any) -> None:
    model, data = snippets.small_net(), snippets.batches()
    first, weights = descended(model, data[:1], 0.1)

    found = snippet(l2l, model, data)

    torch.testing.assert_close(found, query_gradients(model, data, first, weights), **CLOSE)


@pytest.mark.parametrize("adapts", [False, True])
def test_gbml(adapts: bool) -> None:
    model, data = snippets.small_net(), snippets.batches()
    first = leaves(model)
    start = {name: torch.full_like(p, 0.5).requires_grad_() for name, p in first.items()}
    weights, rates = first, start
    for number, batch in enumerate(data):
        loss = loss_at(model, weights, *batch)
        grads = gradients(loss, weights)
        if adapts and number:
            by_rates = gradients(loss, rates)
            rates = {name: rate - 0.1 * by_rates[name] for name, rate in rates.items()}
        weights = {name: p - 0.1 * rates[name] * grads[name] for name, p in weights.items()}
    expected = torch.autograd.grad(
        loss_at(model, weights, *data[0]), [*first.values(), *start.values()]
    )

    torch.testing.assert_close(snippets.gbml(l2l, model, data, adapts), [*expected], **CLOSE)


def test_updates_given_as_attributes() -> None:
    model = snippets.small_net()
    values = [p.detach() - 0.1 * p.detach().square() for p in model.parameters()]
    grads = [1 - 0.2 * p.detach() for p in model.parameters()]

    torch.testing.assert_close(snippets.update_by_attribute(l2l, model), [*values, *grads], **CLOSE)


def test_a_detached_clone() -> None:
    model, x = snippets.small_net(), torch.randn(5, 3)
    expected = torch.autograd.grad(model(x).square().sum(), [*model.parameters()])

    torch.testing.assert_close(snippets.detach(l2l, model, x), [*expected], **CLOSE)

    l2l.detach_module(model)
    assert not any(p.requires_grad for p in model.parameters())


def test_magic_box() -> None:
    log_probs, advantages = torch.randn(4, requires_grad=True), torch.randn(4)
    # The value is the mean; the gradient is that of log-probabilities times advantages.
    surrogate = (log_probs.cumsum(0) * advantages).mean()
    expected = torch.autograd.grad(surrogate, log_probs)

    found = snippets.magic_box(l2l, log_probs, advantages)

    torch.testing.assert_close(found, [advantages.mean(), *expected], **CLOSE)
    assert l2l.magic_box("no tensor") == "no tensor"


def test_a_learned_update() -> None:
    model, data = snippets.small_net(), snippets.batches()
    first = leaves(model)
    rates = {name: torch.full_like(p, 0.5).requires_grad_() for name, p in first.items()}
    grads = gradients(loss_at(model, first, *data[0]), first)
    weights = {name: p + rates[name] * grads[name] for name, p in first.items()}
    expected = torch.autograd.grad(
        loss_at(model, weights, *data[1]), [*first.values(), *rates.values()]
    )

    torch.testing.assert_close(snippets.learned_update(l2l, model, data), [*expected], **CLOSE)


def test_meta_descent() -> None:
    model, data = snippets.small_net(), snippets.batches(3)
    weights = leaves(model)
    rates = {name: torch.full_like(p, 0.5).requires_grad_() for name, p in weights.items()}
    before: Weights = {}
    for x, y in data:
        # The last step was w - 0.1 * rate * g: the loss now says how the rates should have been.
        loss = loss_at(model, weights, x, y)
        grads = {name: grad.detach() for name, grad in gradients(loss, weights).items()}
        if before:
            rates = {n: rate + 0.1 * 0.1 * before[n] * grads[n] for n, rate in rates.items()}
        weights = {
            n: (p - 0.1 * rates[n] * grads[n]).detach().requires_grad_() for n, p in weights.items()
        }
        before = grads
    expected = [value.detach() for value in (*weights.values(), *rates.values())]

    torch.testing.assert_close(snippets.meta_descent(l2l, model, data), expected, **CLOSE)


def test_a_model_that_returns_a_distribution() -> None:
    model, mu, sigma = snippets.Toy(), torch.randn(5), torch.rand(5)
    first = leaves(model)

    def loss_of(weights: Weights) -> Tensor:
        return (mu - weights["mu"]).pow(2).sum() + (sigma - weights["sigma"].pow(2)).pow(2).sum()

    grads = gradients(loss_of(first), first)
    loss = loss_of({name: p - 1e-2 * grads[name] for name, p in first.items()})
    expected = torch.autograd.grad(loss, [*first.values()])

    torch.testing.assert_close(snippets.toy(l2l, model, mu, sigma), [loss, *expected], **CLOSE)


def test_clones_of_tensors_and_accuracy() -> None:
    weight = torch.randn(3, requires_grad=True)

    (clone,) = l2l.clone_parameters([weight])
    named = l2l.clone_named_parameters({"weight": weight})

    assert torch.autograd.grad(clone.sum() + named["weight"].sum(), weight)[0].tolist() == [2.0] * 3
    assert l2l.accuracy(F.one_hot(torch.tensor([0, 1, 2, 0])), torch.tensor([0, 1, 2, 2])) == 0.75

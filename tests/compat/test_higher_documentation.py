"""What higher's documentation shows runs on metann.compat.higher, and is right."""

from __future__ import annotations

import copy
from typing import Any

import higher_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, Weights, descended, gradients, loss_at
from torch import Tensor, nn

from metann.compat import higher

ADAM = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}


def adam_by_hand(model: nn.Module, data: Any) -> tuple[Weights, Weights]:
    """The weights before and after, by the formulas of the paper (arXiv 1412.6980)."""
    (beta1, beta2), lr, eps = ADAM["betas"], ADAM["lr"], ADAM["eps"]  # type: ignore[misc]
    first = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    weights, m, v = first, dict.fromkeys(first, 0.0), dict.fromkeys(first, 0.0)
    for t, (x, y) in enumerate(data, start=1):
        grads = gradients(loss_at(model, weights, x, y), weights)
        m = {n: beta1 * m[n] + (1 - beta1) * g for n, g in grads.items()}
        v = {n: beta2 * v[n] + (1 - beta2) * g * g for n, g in grads.items()}
        weights = {
            n: p - lr * (m[n] / (1 - beta1**t)) / ((v[n] / (1 - beta2**t)).sqrt() + eps)
            for n, p in weights.items()
        }
    return first, weights


def test_example_usage() -> None:
    model, data = snippets.small_net(), snippets.batches(3)
    opt = torch.optim.Adam(model.parameters(), **ADAM)  # type: ignore[arg-type]
    first, weights = adam_by_hand(model, data)
    total = sum(p.square().sum() for p in weights.values())
    grads = torch.autograd.grad(total, [*first.values()])  # type: ignore[arg-type]

    found = snippets.example_usage(higher, model, opt, data)

    torch.testing.assert_close(found, [*weights.values(), *grads], **CLOSE)


def test_maml_train() -> None:
    net, data = snippets.small_image_net(), snippets.images()
    losses, total = [], [torch.zeros_like(p) for p in net.parameters()]
    for x_spt, y_spt, x_qry, y_qry in zip(*data, strict=True):
        first, weights = descended(net, [(x_spt, y_spt)] * 2, 0.1)
        losses.append(loss_at(net, weights, x_qry, y_qry))
        grads = torch.autograd.grad(losses[-1], [*first.values()])
        total = [a + b for a, b in zip(total, grads, strict=True)]
    before = {name: value.clone() for name, value in net.state_dict().items()}

    found = snippets.maml_train(higher, net, data)

    torch.testing.assert_close(found, [*losses, *total], **CLOSE)
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)


def test_maml_test() -> None:
    net, data = snippets.small_image_net(), snippets.images()
    expected: list[Tensor] = []
    for x_spt, y_spt, x_qry, y_qry in zip(*data, strict=True):
        _, weights = descended(net, [(x_spt, y_spt)] * 3, 0.1)
        logits = torch.func.functional_call(copy.deepcopy(net), weights, (x_qry,))
        expected.append(F.cross_entropy(logits, y_qry, reduction="none"))

    found = snippets.maml_test(higher, net, data)

    torch.testing.assert_close(found, expected, **CLOSE)
    assert not any(losses.requires_grad for losses in found)


def test_deep_energy() -> None:
    energy = nn.Sequential(nn.Linear(5, 4), nn.Softplus(), nn.Linear(4, 1))
    x = torch.randn(6, 3)
    y = torch.zeros(6, 2, requires_grad=True)
    for _ in range(3):
        total = energy(torch.cat((x, y), dim=1)).sum()
        y = y - 0.1 * torch.autograd.grad(total, y, create_graph=True)[0]
    loss = F.cross_entropy(y, torch.zeros(6, dtype=torch.long))
    grads = torch.autograd.grad(loss, [*energy.parameters()][:-1])

    found = snippets.deep_energy(higher, energy, x)

    torch.testing.assert_close(found, [y, *grads], **CLOSE)


def test_weights_modified_directly() -> None:
    model, x = snippets.Named(), torch.randn(4, 3)
    weights = dict(model.named_parameters())
    leaf = weights["linear.weight"]
    output = torch.func.functional_call(model, {**weights, "linear.weight": leaf.sin()}, (x,))
    grads = torch.autograd.grad(output.sum(), [*weights.values()])

    found = snippets.weights_modified_directly(higher, model, x)

    torch.testing.assert_close(found, [output, *grads], **CLOSE)


def test_submodules_called_directly() -> None:
    model, x = snippets.Named(), torch.randn(4, 3)

    whole, functional, part, functional_part = snippets.submodules_called_directly(higher, model, x)

    assert torch.equal(whole, functional)
    assert torch.equal(part, functional_part)


def test_learned_options() -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    lr, momentum = (torch.tensor(value, requires_grad=True) for value in (0.1, 0.5))
    weights = {n: p.detach().requires_grad_() for n, p in model.named_parameters()}
    buffers: Weights = {}
    for x, y in data:
        grads = gradients(loss_at(model, weights, x, y), weights)
        buffers = {n: momentum * buffers[n] + g if buffers else g for n, g in grads.items()}
        weights = {n: p - lr * buffers[n] for n, p in weights.items()}
    expected = torch.autograd.grad(loss_at(model, weights, *data[0]), [lr, momentum])

    found = snippets.learned_options(higher, model, opt, data, {"lr", "momentum"})

    torch.testing.assert_close(found[:2], [*expected], **CLOSE)
    group = opt.param_groups[0]
    assert (group["lr"], group["momentum"]) == (found[2].item(), found[3].item())
    assert group["nesterov"] is False


def test_an_override_for_each_step() -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    rates = [torch.tensor(rate, requires_grad=True) for rate in (0.1, 0.2)]
    weights: Weights = {n: p.detach().requires_grad_() for n, p in model.named_parameters()}
    for rate, (x, y) in zip(rates, data, strict=True):
        grads = gradients(loss_at(model, weights, x, y), weights)
        weights = {n: p - rate * grads[n] for n, p in weights.items()}
    loss = loss_at(model, weights, *data[0])

    found = snippets.override_by_step(higher, model, data)

    torch.testing.assert_close(found, [loss, *torch.autograd.grad(loss, rates)], **CLOSE)


def test_gradients_through_a_callback() -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    first: Weights = {n: p.detach().requires_grad_() for n, p in model.named_parameters()}
    weights = first
    for x, y in data:
        grads = gradients(loss_at(model, weights, x, y), weights)
        norm = torch.cat([g.flatten() for g in grads.values()]).norm()
        weights = {n: p - 0.1 * grads[n] / norm for n, p in weights.items()}
    loss = loss_at(model, weights, *data[0])
    expected = [loss, *torch.autograd.grad(loss, [*first.values()])]

    torch.testing.assert_close(snippets.clipped(higher, model, data), expected, **CLOSE)


def test_weights_passed_by_hand_to_a_created_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ADAM, "lr", 0.05)
    model, data = snippets.small_net(), snippets.batches(2)
    first, weights = adam_by_hand(model, data)
    loss = loss_at(model, weights, *data[0])
    expected = [*weights.values(), *torch.autograd.grad(loss, [*first.values()])]

    found = snippets.functional_with_created_optimizer(higher, model, data)

    torch.testing.assert_close(found, expected, **CLOSE)


def test_an_optimizer_of_ones_own() -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    start = copy.deepcopy(model)
    average: Weights = gradients(
        loss_at(start, dict(start.named_parameters()), *data[0]), dict(start.named_parameters())
    )
    average = {n: g.detach() for n, g in average.items()}
    first = {
        n: (p - 0.1 * average[n]).detach().requires_grad_() for n, p in start.named_parameters()
    }
    weights = first
    for x, y in data:
        grads = gradients(loss_at(model, weights, x, y), weights)
        average = {n: 0.5 * average[n] + g for n, g in grads.items()}
        weights = {n: p - 0.1 * average[n] for n, p in weights.items()}
    total = sum(p.square().sum() for p in weights.values())
    grads_of_first = torch.autograd.grad(total, [*first.values()])  # type: ignore[arg-type]

    found = snippets.optimizer_of_ones_own(higher, model, data)

    torch.testing.assert_close(found, [*weights.values(), *grads_of_first], **CLOSE)

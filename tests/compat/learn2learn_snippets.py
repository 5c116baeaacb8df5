"""Programs as learn2learn's documentation shows them, each a function of the library to run it on.

The calls are those of its README, docstrings, examples and tests. Each returns tensors.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, autograd, nn

Numbers = list[Tensor]


def small_net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def batches(count: int = 2) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(5, 3), torch.randint(2, (5,))) for _ in range(count)]


def grads_of(module: nn.Module) -> Numbers:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters()]


# ── README: Few-Shot Learning with MAML ──────────────────────────────────────────────────────


def few_shot_learning(l2l: Any, model: nn.Module, data: Any, **options: Any) -> Numbers:
    """The losses, and the weights after meta-training."""
    maml = l2l.algorithms.MAML(model, lr=0.1, **options)
    opt = torch.optim.SGD(maml.parameters(), lr=0.05)
    losses = []
    for (x, y), (x_query, y_query) in zip(data, reversed(data), strict=True):
        opt.zero_grad()
        task_model = maml.clone()
        for _ in range(2):
            adaptation_loss = F.cross_entropy(task_model(x), y)
            task_model.adapt(adaptation_loss)
        evaluation_loss = F.cross_entropy(task_model(x_query), y_query)
        evaluation_loss.backward()
        losses.append(evaluation_loss.detach())
        opt.step()
    return [*losses, *model.parameters()]


# ── algorithms: docstrings of MetaSGD, GBML, maml_update, meta_sgd_update ────────────────────


def meta_sgd(l2l: Any, model: nn.Module, data: Any, **options: Any) -> Numbers:
    """The loss, and the gradients of weights and rates."""
    linear = l2l.algorithms.MetaSGD(model, lr=0.1, **options)
    clone = linear.clone()
    (x, y), (x_query, y_query) = data
    for _ in range(2):
        error = F.cross_entropy(clone(x), y)
        clone.adapt(error)
    error = F.cross_entropy(clone(x_query), y_query)
    error.backward()
    return [error, *grads_of(model), *(lr.grad for lr in linear.lrs)]


def maml_update(l2l: Any, model: nn.Module, data: Any) -> Numbers:
    (x, y), (x_query, y_query) = data
    maml = l2l.algorithms.MAML(model, lr=0.1)
    clone = maml.clone()
    loss = F.cross_entropy(clone(x), y)
    grads = autograd.grad(loss, clone.parameters(), create_graph=True)
    l2l.algorithms.maml_update(clone, lr=0.1, grads=grads)
    F.cross_entropy(clone(x_query), y_query).backward()
    return grads_of(model)


def gbml(l2l: Any, model: nn.Module, data: Any, adapt_transform: bool) -> Numbers:
    """Gradients of the model, and of the modules that compute its updates."""
    made = l2l.algorithms.GBML(
        module=model,
        transform=scaled,
        lr=0.1,
        adapt_transform=adapt_transform,
    )
    task_model = made.clone()
    for x, y in data:
        loss = F.cross_entropy(task_model(x), y)
        task_model.adapt(loss)
    F.cross_entropy(task_model(data[0][0]), data[0][1]).backward()
    return [*grads_of(model), *grads_of(made.compute_update)]


class Scaled(nn.Module):
    """A rate for each entry, as HypergradTransform in its example."""

    def __init__(self, param: Tensor) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.full_like(param, 0.5, requires_grad=True))

    def forward(self, grad: Tensor) -> Tensor:
        return self.rate * grad


def scaled(param: Tensor) -> nn.Module:
    return Scaled(param)


# ── utils: docstrings of clone_module, detach_module, update_module, magic_box ───────────────


def clone_and_update(l2l: Any, model: nn.Module, data: Any, lr: float = 0.1) -> Numbers:
    (x, y), (x_query, y_query) = data
    clone = l2l.clone_module(model)
    error = F.cross_entropy(clone(x), y)
    grads = torch.autograd.grad(error, clone.parameters(), create_graph=True)
    updates = [-lr * g for g in grads]
    l2l.update_module(clone, updates=updates)
    F.cross_entropy(clone(x_query), y_query).backward()
    return grads_of(model)


def update_by_attribute(l2l: Any, model: nn.Module) -> Numbers:
    clone = l2l.clone_module(model)
    for p in clone.parameters():
        p.update = -0.1 * p.square()
    l2l.update_module(clone)
    sum(p.sum() for p in clone.parameters()).backward()
    return [*(p.detach() for p in clone.parameters()), *grads_of(model)]


def detach(l2l: Any, model: nn.Module, x: Tensor) -> Numbers:
    """Gradients of the clone; the model has none."""
    clone = l2l.clone_module(model)
    l2l.detach_module(clone, keep_requires_grad=True)
    clone(x).square().sum().backward()
    assert all(p.grad is None for p in model.parameters())
    return [p.grad for p in clone.parameters()]


def magic_box(l2l: Any, log_probs: Tensor, advantages: Tensor) -> Numbers:
    loss = (l2l.magic_box(log_probs.cumsum(0)) * advantages).mean()
    return [loss, *torch.autograd.grad(loss, log_probs)]


# ── optim: ParameterUpdate of the README, LearnableOptimizer of its example ──────────────────


def learned_update(l2l: Any, model: nn.Module, data: Any) -> Numbers:
    (x, y), (x_query, y_query) = data
    update = l2l.optim.ParameterUpdate(model.parameters(), scaled)
    clone = l2l.clone_module(model)
    error = F.cross_entropy(clone(x), y)
    updates = update(error, clone.parameters(), create_graph=True)
    l2l.update_module(clone, updates=updates)
    F.cross_entropy(clone(x_query), y_query).backward()
    return [*grads_of(model), *grads_of(update)]


def meta_descent(l2l: Any, model: nn.Module, data: Any) -> Numbers:
    """The weights of the model and of what steps it."""
    metaopt = l2l.optim.LearnableOptimizer(model=model, transform=scaled, lr=0.1)
    opt = torch.optim.SGD(metaopt.parameters(), lr=0.1)
    for x, y in data:
        metaopt.zero_grad()
        opt.zero_grad()
        err = F.cross_entropy(model(x), y)
        err.backward()
        opt.step()
        metaopt.step()
    return [*(p.detach() for p in model.parameters()), *(p.detach() for p in metaopt.parameters())]


# ── examples/maml_toy.py ─────────────────────────────────────────────────────────────────────


class Toy(nn.Module):
    """Returns a distribution, which knows the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.mu = nn.Parameter(torch.randn(5))
        self.sigma = nn.Parameter(torch.randn(5).abs() + 0.5)

    def forward(self, x: Any = None) -> torch.distributions.Normal:
        return torch.distributions.Normal(self.mu, self.sigma)


def toy(l2l: Any, model: nn.Module, mu: Tensor, sigma: Tensor) -> Numbers:
    def loss_of(proposal: torch.distributions.Normal) -> Tensor:
        return (mu - proposal.mean).pow(2).sum() + (sigma - proposal.variance).pow(2).sum()

    learner = l2l.algorithms.MAML(model, lr=1e-2).clone()
    learner.adapt(loss_of(learner()))
    loss = loss_of(learner())
    loss.backward()
    return [loss, *grads_of(model)]

"""All tasks in one pass: metann, torch.func's recipe, and batched products written by hand."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, replace_all_batch_norm_modules_, vmap

from metann import MAML
from peers.problem import Batch, MetaGradient, Problem, Run


def with_metann(problem: Problem) -> Run:
    """`metann.MAML.task_losses`."""

    def evaluator(model: Callable[[Tensor], Tensor], data: Batch) -> Tensor:
        return problem.loss(model(data[0]), data[1])

    maml = MAML(problem.model, problem.steps, problem.steps, problem.lr, evaluator)

    def run() -> MetaGradient:
        losses = maml.task_losses(problem.support, problem.query)
        gradients = torch.autograd.grad(losses.mean(), [*problem.model.parameters()])
        return losses.detach(), [*gradients]

    return run


def with_vmap_of_grad(problem: Problem) -> MetaGradient:
    """`vmap` over tasks of a loss that adapts by `torch.func.grad`.

    Statistics of a batch normalisation cannot be written under vmap; torch's own patch is applied.
    """
    model = problem.model
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        model = replace_all_batch_norm_modules_(deepcopy(model))
    weights: dict[str, Tensor] = dict(problem.model.named_parameters())

    def loss(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return problem.loss(functional_call(model, weights, (x,)), y)

    def adapted(x: Tensor, y: Tensor, query_x: Tensor, query_y: Tensor) -> Tensor:
        fast = weights
        for _ in range(problem.steps):
            gradients = grad(loss)(fast, x, y)
            fast = {name: weight - problem.lr * gradients[name] for name, weight in fast.items()}
        return loss(fast, query_x, query_y)

    losses: Tensor = vmap(adapted)(*problem.support, *problem.query)
    gradients = torch.autograd.grad(losses.mean(), [*weights.values()])
    return losses.detach(), [*gradients]


def with_baddbmm(problem: Problem) -> MetaGradient:
    """The sinusoid's net written by hand: one `torch.baddbmm` a layer for all tasks."""
    parameters = list(problem.model.parameters())
    tasks = problem.support[0].shape[0]
    fast = [p.expand(tasks, *p.shape) for p in parameters]

    def losses_of(weights: list[Tensor], batch: Batch) -> Tensor:
        h, y = batch
        for layer in range(0, len(weights), 2):
            weight, bias = weights[layer : layer + 2]
            h = torch.baddbmm(bias.unsqueeze(1), h, weight.mT)
            h = h.relu() if layer + 2 < len(weights) else h
        return F.mse_loss(h, y, reduction="none").mean((1, 2))

    for _ in range(problem.steps):
        loss = losses_of(fast, problem.support).sum()
        gradients = torch.autograd.grad(loss, fast, create_graph=True)
        fast = [w - problem.lr * g for w, g in zip(fast, gradients, strict=True)]
    losses = losses_of(fast, problem.query)
    return losses.detach(), [*torch.autograd.grad(losses.mean(), parameters)]

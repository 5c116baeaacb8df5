"""One task after another: with torch.func.functional_call, higher, TorchOpt, and with metann.

Each is written as its documentation has it, and takes the gradient of each task's loss at once, so
that no more than one task's graph is ever kept.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from metann import Learner
from peers.problem import MetaGradient, Problem


def with_functional_call(problem: Problem) -> MetaGradient:
    """`torch.func.functional_call`, and `autograd.grad` for each step."""
    model, losses = problem.model, list[Tensor]()
    slow = dict(model.named_parameters())
    model.zero_grad()
    for (x, y), query in problem.tasks():
        fast: dict[str, Tensor] = {**slow}
        for _ in range(problem.steps):
            loss = problem.loss(functional_call(model, fast, (x,)), y)
            gradients = torch.autograd.grad(loss, [*fast.values()], create_graph=True)
            pairs = zip(fast.items(), gradients, strict=True)
            fast = {name: weight - problem.lr * g for (name, weight), g in pairs}
        losses.append(problem.loss(functional_call(model, fast, (query[0],)), query[1]))
        torch.autograd.backward(losses[-1])
    return result(problem, losses)


def with_learner(problem: Problem) -> MetaGradient:
    """`metann.Learner.functional`, and `autograd.grad` for each step."""
    model, learner, losses = problem.model, Learner(problem.model), list[Tensor]()
    model.zero_grad()
    for (x, y), query in problem.tasks():
        fast: list[Tensor] = [*model.parameters()]
        for _ in range(problem.steps):
            loss = problem.loss(learner.functional(fast, True, x), y)
            gradients = torch.autograd.grad(loss, fast, create_graph=True)
            fast = [w - problem.lr * g for w, g in zip(fast, gradients, strict=True)]
        losses.append(problem.loss(learner.functional(fast, True, query[0]), query[1]))
        torch.autograd.backward(losses[-1])
    return result(problem, losses)


def with_higher(problem: Problem) -> MetaGradient:
    """`higher.innerloop_ctx`; `copy_initial_weights=False` is what a meta-gradient needs."""
    higher: Any = import_module("higher")
    model, losses = problem.model, list[Tensor]()
    sgd = torch.optim.SGD(model.parameters(), problem.lr)
    model.zero_grad()
    for (x, y), query in problem.tasks():
        with higher.innerloop_ctx(model, sgd, copy_initial_weights=False) as (fast, optimizer):
            for _ in range(problem.steps):
                optimizer.step(problem.loss(fast(x), y))
            losses.append(problem.loss(fast(query[0]), query[1]))
            torch.autograd.backward(losses[-1])
    return result(problem, losses)


def with_torchopt(problem: Problem) -> MetaGradient:
    """`torchopt.MetaSGD`, which writes into the model; its state is put back for each task."""
    torchopt: Any = import_module("torchopt")
    model, losses = problem.model, list[Tensor]()
    optimizer = torchopt.MetaSGD(model, lr=problem.lr)
    before = [torchopt.extract_state_dict(which) for which in (model, optimizer)]
    model.zero_grad()
    for (x, y), query in problem.tasks():
        for _ in range(problem.steps):
            optimizer.step(problem.loss(model(x), y))
        losses.append(problem.loss(model(query[0]), query[1]))
        torch.autograd.backward(losses[-1])
        for which, state in zip((model, optimizer), before, strict=True):
            torchopt.recover_state_dict(which, state)
    return result(problem, losses)


def result(problem: Problem, losses: list[Tensor]) -> MetaGradient:
    """What the passes backward have summed up in the parameters, as means."""
    gradients = [p.grad / len(losses) for p in problem.model.parameters() if p.grad is not None]
    return torch.stack(losses).detach(), gradients

"""MAML knows what data its evaluator takes; optimisers and tasks are typed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import assert_type

from metann import MAML, DependentModule, Learner, optim
from metann.meta import ANIL, IMAML, Adapted, MAMLPlusPlus, MetaSGD, Reptile, TaskLosses
from metann.tasks import Episodes, Examples, Glyphs, Sinusoids

Pair = tuple[Tensor, Tensor]


def evaluator(model: nn.Module, data: Pair) -> Tensor:
    return nn.functional.mse_loss(model(data[0]), data[1])


def on_examples(model: DependentModule, data: Examples) -> Tensor:
    return nn.functional.mse_loss(model(data.inputs), data.targets)


def adapting(net: nn.Module, support: Pair, query: Pair) -> None:
    maml = MAML(net, 5, 10, 0.01, evaluator)
    assert_type(maml, MAML[Pair])
    assert_type(maml(support), DependentModule)
    assert_type(maml.adapt(support), Adapted)
    assert_type(maml.adapt(support).losses, Tensor)
    assert_type(maml.adapt(support).detached(), Adapted)
    assert_type(maml.task_losses(support, query), Tensor)
    assert_type(maml.losses_by_step(support, query, steps=3), Tensor)
    assert_type(TaskLosses(maml)(support, query), Tensor)


def relatives(net: nn.Module, support: Pair) -> None:
    assert_type(ANIL(net, 5, 5, 0.1, evaluator, head="4")(support), DependentModule)
    assert_type(MetaSGD(net, 1, 1, 0.1, evaluator).rates, dict[str, nn.Parameter])
    assert_type(MAMLPlusPlus(net, 5, 5, 0.1, evaluator).importance(5), list[float])
    assert_type(Reptile(net, 5, 5, 0.1, evaluator).task_losses(support), Tensor)
    assert_type(IMAML(net, 9, 9, 0.1, evaluator, strength=2.0).adapt(support), Adapted)


def settings(net: nn.Module) -> None:
    rate = nn.Parameter(torch.tensor(0.1))
    MAML(net, 5, 5, rate, evaluator, checkpoint=True, tasks="loop", names=["head"])
    MAML(net, 5, 5, None, evaluator, optimizer=optim.Adam(lr=[0.1, rate], betas=(0.8, 0.9)))
    MAML(net, 5, 5, optim.PerStep([0.1, [0.2, rate]]), evaluator, buffers="writeback")
    ANIL(net, 5, 5, 0.1, evaluator, first_order=True, checkpoint=True)


def drawn(net: nn.Module) -> None:
    episodes = Sinusoids().draw(25, shots=10)
    assert_type(episodes, Episodes)
    assert_type(episodes.support.inputs, Tensor)
    assert_type(MAML(net, 1, 1, 0.1, on_examples).task_losses(*episodes), Tensor)
    assert_type(Glyphs(classes=20).draw(4, ways=5, shots=1, queries=2), Episodes)


def stepping(params: list[Tensor], grads: list[Tensor | None], x: Tensor) -> None:
    adam = optim.AdamW(lr=0.1)
    state = adam.init(params)
    assert_type(state, optim.State)
    assert_type(adam.step(params, grads, state), tuple[list[Tensor], optim.State])
    clipped = optim.transformed(adam, optim.clip_by_norm(1.0))
    assert_type(clipped.step(params, grads, clipped.init(params))[0], list[Tensor])
    assert_type(Learner(nn.Linear(3, 4)).batched(params, True, x), Tensor)

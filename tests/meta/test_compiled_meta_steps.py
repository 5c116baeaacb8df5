"""A whole meta-step under torch.compile: inner loop, query loss and meta-gradient in one graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metann import MAML, optim


def evaluator(model: nn.Module, data: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(data[0]), data[1])


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    )


@pytest.mark.parametrize(
    ("make", "optimizer", "first_order"),
    [(normalised, optim.SGD, False), (convolutional, optim.Adam, False)],
    ids=["SGD and batch norm", "Adam and convolutions"],
)
def test_a_compiled_meta_step_is_one_graph_with_the_same_meta_gradients(
    make, optimizer, first_order: bool
) -> None:
    maml = MAML(
        make(),
        2,
        2,
        None,
        evaluator,
        first_order,
        optimizer=optimizer(lr=nn.Parameter(torch.tensor(0.1))),
    )
    support, query = ((torch.randn(3, 6, 5), torch.randint(3, (3, 6))) for _ in range(2))
    every = list(maml.parameters())

    def objective(support: tuple[Tensor, Tensor], query: tuple[Tensor, Tensor]) -> Tensor:
        return maml.task_losses(support, query)

    compiled = torch.compile(objective, fullgraph=True, backend="aot_eager")
    losses, expected = compiled(support, query), objective(support, query)
    found = torch.autograd.grad(losses.sum(), every)

    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        found, torch.autograd.grad(expected.sum(), every), rtol=1e-10, atol=1e-12
    )


def test_first_order_stays_first_order_when_compiled() -> None:
    maml = MAML(nn.Linear(3, 2), 1, 1, 0.5, evaluator, first_order=True)
    support, query = ((torch.randn(2, 4, 3), torch.randint(2, (2, 4))) for _ in range(2))
    every = list(maml.parameters())
    compiled = torch.compile(maml.task_losses, fullgraph=True, backend="aot_eager")

    found = torch.autograd.grad(compiled(support, query).sum(), every)

    torch.testing.assert_close(
        found, torch.autograd.grad(maml.task_losses(support, query).sum(), every)
    )
    maml.first_order = False
    second = torch.autograd.grad(maml.task_losses(support, query).sum(), every)
    assert (found[0] - second[0]).abs().max() > 1e-3

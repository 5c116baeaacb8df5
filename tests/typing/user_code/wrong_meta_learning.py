"""What is wrong about inner loops, and reported; the errors are marked."""

from __future__ import annotations

from torch import Tensor, nn

from metann import MAML, optim
from metann.meta import ANIL, TaskLosses

Pair = tuple[Tensor, Tensor]


def evaluator(model: nn.Module, data: Pair) -> Tensor:
    return nn.functional.mse_loss(model(data[0]), data[1])


def other_data(net: nn.Module, support: Pair, x: Tensor) -> None:
    maml = MAML(net, 5, 10, 0.01, evaluator)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    maml.adapt(x)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    maml.task_losses(support, x)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    maml(x)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    TaskLosses(maml)(support, x)


def other_settings(net: nn.Module) -> None:
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    MAML(net, 5, 5, 0.1, evaluator, tasks="parallel")
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    MAML(net, 5, 5, "fast", evaluator)
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[unexpected-keyword]
    ANIL(net, 5, 5, 0.1, evaluator, checkpoints=True)
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[unexpected-keyword]
    MAML(net, 5, 5, None, evaluator, optimizer=optim.Adam(lr=0.1, beta=0.9))
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[unexpected-keyword]
    optim.SGD(momentums=0.9)

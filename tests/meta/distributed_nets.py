"""The nets that one process and two meta-train alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metann import MAML, optim

KINDS = ("mlp", "convolutional", "first order")


def evaluator(model: nn.Module, data: tuple[Tensor, Tensor]) -> Tensor:
    return F.mse_loss(model(data[0]), data[1])


def maml_of(kind: str, seed: int) -> MAML[Any]:
    """MAML with a learned step size, in float64."""
    torch.manual_seed(seed)
    lr = nn.Parameter(torch.tensor(0.05, dtype=torch.float64))
    net: nn.Module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    if kind == "convolutional":
        net = nn.Sequential(
            nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 4, 3, bias=False), nn.BatchNorm1d(4), nn.Tanh(),
            nn.Flatten(), nn.Linear(12, 2),
        )  # fmt: skip
    optimizer = optim.SGD(lr=lr, momentum=0.5)
    return MAML(
        net.double(),
        3,
        3,
        None,
        evaluator,
        first_order=kind == "first order",
        optimizer=optimizer,
    )

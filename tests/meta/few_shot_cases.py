"""Nets, tasks and a loss for the tests of algorithms: small, smooth, and each with a trait."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Data: TypeAlias = tuple[Tensor, Tensor]
Task: TypeAlias = tuple[Data, Data]  # support, query
Loss: TypeAlias = Callable[[nn.Module, Data], Tensor]


class Tied(nn.Module):
    """One weight reads the input and writes the output."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.middle = nn.Linear(3, 4, bias=False), nn.Linear(4, 4)
        self.writing = nn.Linear(3, 4)
        self.writing.weight = self.reading.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.writing(torch.tanh(self.middle(self.reading(x[:, :3])))[:, :3])


class Attending(nn.Module):
    """A transformer over points as tokens: torch's fused attention has no second derivative."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            4, 2, 6, dropout=0.0, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x[None]))[0]


class Remembering(nn.Module):
    """An LSTM over the four numbers of a point."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, 3, batch_first=True), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[..., None])[0][:, -1])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4))


def deeper() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 4))


def convolution() -> nn.Module:
    """Two convolutions and normalizations, that have seen data, over a point as a 2 by 2 image."""
    net = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)),
        nn.Conv2d(1, 3, 2, padding=1),
        nn.BatchNorm2d(3),
        nn.Softplus(),
        nn.Conv2d(3, 2, 2),
        nn.BatchNorm2d(2),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    net(torch.randn(20, 4))
    return net


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 4))


NETS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "convolution": convolution,
    "tied": Tied,
    "transformer": Attending,
    "lstm": Remembering,
}


def classification(model: nn.Module, data: Data) -> Tensor:
    """The loss of all tests: cross-entropy over four classes."""
    return F.cross_entropy(model(data[0]), data[1])


def draw_tasks(count: int = 3, shots: int = 6, seed: int = 5) -> list[Task]:
    """Random points with random classes."""
    generator = torch.Generator().manual_seed(seed)

    def data() -> Data:
        x = torch.randn(shots, 4, generator=generator)
        return x, torch.randint(4, (shots,), generator=generator)

    return [(data(), data()) for _ in range(count)]


def stacked(tasks: list[Task]) -> Task:
    """All tasks in one: every tensor has a leading task axis."""

    def stack(part: int) -> Data:
        xs, ys = zip(*(task[part] for task in tasks), strict=True)
        return torch.stack(xs), torch.stack(ys)

    return stack(0), stack(1)

"""What every contestant computes: the query losses of some tasks, and their mean's gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The losses, one a task, and the gradients of their mean, one a parameter of the model.
MetaGradient = tuple[Tensor, list[Tensor]]
Run = Callable[[], MetaGradient]
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Problem:
    """A model, and tasks that it adapts to by some steps of gradient descent, to second order.

    Shape: every tensor of `support` and `query` has a leading axis of tasks.
    """

    model: nn.Module
    support: Batch
    query: Batch
    loss: Callable[[Tensor, Tensor], Tensor]
    steps: int
    lr: float

    def tasks(self) -> Iterator[tuple[Batch, Batch]]:
        """The support and query of one task after another."""
        for support_x, support_y, query_x, query_y in zip(*self.support, *self.query, strict=True):
            yield (support_x, support_y), (query_x, query_y)

    def in_double(self, tasks: int) -> Problem:
        """The same in float64, for its first tasks only."""

        def first(data: Iterable[Tensor]) -> Batch:
            return cast(
                Batch,
                tuple(t[:tasks].double() if t.is_floating_point() else t[:tasks] for t in data),
            )

        return replace(
            self,
            model=deepcopy(self.model).double(),
            support=first(self.support),
            query=first(self.query),
        )


def sinusoids(tasks: int, steps: int) -> Problem:
    """The regression of the MAML paper: 10 points a task to adapt to, and 10 more."""
    hidden = (nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    amplitude = 0.1 + 4.9 * torch.rand(tasks, 1, 1)
    phase = torch.pi * torch.rand(tasks, 1, 1)

    def points() -> Batch:
        x = 10 * torch.rand(tasks, 10, 1) - 5
        return x, amplitude * (x - phase).sin()

    return Problem(nn.Sequential(*hidden), points(), points(), F.mse_loss, steps, 0.01)


def images(tasks: int, steps: int) -> Problem:
    """5-way 1-shot classification by four blocks of 64 channels; 15 query images a class."""
    sizes = [1, 64, 64, 64, 64]
    blocks = [
        nn.Sequential(nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU())
        for inner, outer in pairwise(sizes)
    ]
    pooled = [part for block in blocks for part in (*block, nn.MaxPool2d(2))]
    model = nn.Sequential(*pooled, nn.Flatten(), nn.Linear(64, 5))
    return Problem(
        model,
        labelled(torch.randn(tasks, 5, 1, 28, 28)),
        labelled(torch.randn(tasks, 75, 1, 28, 28)),
        F.cross_entropy,
        steps,
        0.1,
    )


def labelled(x: Tensor, ways: int = 5) -> Batch:
    """Give the examples of each task the labels 0, 1, … in turn."""
    return x, (torch.arange(x.shape[1]) % ways).expand(x.shape[0], -1)


class EncoderClassifier(nn.Module):
    """Two layers of torch's TransformerEncoder over tokens, then a linear layer on their mean."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (batch, tokens, 32) -> (batch, 5)."""
        return cast(Tensor, self.head(self.encoder(x).mean(-2)))


class LSTMClassifier(nn.Module):
    """A linear layer on the last output of an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 32, batch_first=True)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (batch, time, 8) -> (batch, 5)."""
        return cast(Tensor, self.head(self.lstm(x)[0][..., -1, :]))


def tokens(tasks: int, steps: int) -> Problem:
    """5-way 1-shot classification of sets of 16 tokens."""
    support, query = torch.randn(tasks, 5, 16, 32), torch.randn(tasks, 25, 16, 32)
    return Problem(
        EncoderClassifier(), labelled(support), labelled(query), F.cross_entropy, steps, 0.05
    )


def series(tasks: int, steps: int) -> Problem:
    """5-way 1-shot classification of series of 20 steps."""
    support, query = torch.randn(tasks, 5, 20, 8), torch.randn(tasks, 25, 20, 8)
    return Problem(
        LSTMClassifier(), labelled(support), labelled(query), F.cross_entropy, steps, 0.1
    )

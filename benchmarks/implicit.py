"""What a meta-step by implicit gradients costs, beside one that goes back through the steps.

    python benchmarks/implicit.py

Time is that of the processor for `task_losses` and `backward`, one thread; a ratio is taken within
each round, and the median over the rounds is shown. Memory is what the graph holds between the two.
"""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
import typer
from rich.progress import track
from tables import Json, Row, Table, finish
from torch import Tensor, nn

from metann.meta import IMAML, MAML, conjugate_gradient

# As in the paper; where the Hessian is not positive definite, a task keeps what it has.
FIVE = partial(conjugate_gradient, steps=5, tolerance=None, indefinite="stop")
Data = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Case:
    """Tasks for a model, and the numbers of inner steps to compare at."""

    name: str
    model: nn.Module
    data: Data
    lr: float
    steps: Sequence[int]


def cases() -> list[Case]:
    """Few small operations, and few large ones."""
    hidden = (nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
    points = torch.rand(25, 10, 1) * 10 - 5, torch.randn(25, 10, 1)
    images = torch.randn(4, 5, 1, 28, 28), torch.randn(4, 5, 5).softmax(-1)
    return [
        Case("MLP 1-40-40-1, 25 tasks", nn.Sequential(*hidden), points, 0.01, (1, 5, 16, 50)),
        Case("4 convolutions of 32 channels, 4 tasks", convolutions(), images, 0.1, (1, 5, 16)),
    ]


def convolutions() -> nn.Module:
    """For images of 28 by 28 in five classes."""
    layers: list[nn.Module] = []
    for channels in (1, 32, 32, 32):
        layers += [nn.Conv2d(channels, 32, 3, padding=1), nn.Softplus(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 5))


def evaluator(model: nn.Module, data: Data) -> Tensor:
    """Regression, or cross-entropy with probabilities."""
    output = model(data[0])
    is_regression = data[1].shape[-1] == 1
    return F.mse_loss(output, data[1]) if is_regression else F.cross_entropy(output, data[1])


def contenders(case: Case, steps: int) -> dict[str, MAML[Any]]:
    """The first is what the others are compared with."""
    settings = case.model, steps, steps, case.lr, evaluator
    return {
        "unrolled": MAML(*settings),
        "first order": MAML(*settings, first_order=True),
        "implicit": IMAML(*settings, strength=2.0, solver=FIVE),
    }


def seconds(maml: MAML[Any], data: Data) -> float:
    """The processor's time for one meta-step."""
    began = time.process_time()
    torch.autograd.backward(maml.task_losses(data, data).sum())
    return time.process_time() - began


def bytes_held(maml: MAML[Any], data: Data) -> int:
    """What the graph of the meta-loss keeps, each storage once."""
    alive: weakref.WeakSet[Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Kept:
        kept = Kept(tensor)
        alive.add(kept)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        loss = maml.task_losses(data, data)
    storages = [kept.tensor.untyped_storage() for kept in alive]
    del loss
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@dataclass(eq=False)
class Kept:
    """A saved tensor that can be seen to be alive."""

    tensor: Tensor


def table_of(case: Case, rounds: int) -> Table:
    """A row for each number of inner steps and each way."""
    rows: list[Row] = []
    for steps in track(case.steps, description=case.name, transient=True):
        mamls = contenders(case, steps)
        taken = [{n: seconds(m, case.data) for n, m in mamls.items()} for _ in range(rounds)]
        for name, maml in mamls.items():
            ratio = statistics.median(times[name] / times["unrolled"] for times in taken)
            rows.append(Row((steps, name, ratio, bytes_held(maml, case.data) / 1e6)))
    columns = "inner steps", "way", "time / unrolled", "graph, MB"
    return Table(case.name, columns, tuple(rows))


def tables(rounds: int, most: int) -> list[Table]:
    """A table for each case, for no more than so many inner steps."""
    kept = [
        replace(case, steps=[steps for steps in case.steps if steps <= most]) for case in cases()
    ]
    return [table_of(case, rounds) for case in kept]


def main(rounds: int = 7, most: int = 50, json_file: Json = None) -> None:
    """Print a table for each case."""
    torch.set_num_threads(1)
    torch.default_generator.manual_seed(0)
    finish(tables(rounds, most), json_file)


if __name__ == "__main__":
    typer.run(main)

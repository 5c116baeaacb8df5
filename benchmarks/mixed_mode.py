"""Three ways through an inner loop: its graph kept, recomputed, or differentiated in forward mode.

    python benchmarks/mixed_mode.py

For several nets and numbers of inner steps: the time of a meta-step, as the median over rounds of
its ratio to that with the graph kept, all in one process and in turn; and the most bytes of tensors
that it had at a time, counted by torch's profiler.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from peers import problem
from peers.problem import Batch, Problem, labelled
from tables import Json, Row, Table, finish
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

from metann import MAML
from metann.meta.settings import Settings

STEPS = (2, 8, 32)
KEPT, CHECKPOINT, MIXED = "kept", "checkpoint", "mixed_mode"
WAYS: Mapping[str, Settings] = {
    KEPT: {},
    CHECKPOINT: {"checkpoint": True},
    MIXED: {"mixed_mode": True},
}
MetaStep = Callable[[], None]


def perceptron(tasks: int, steps: int) -> Problem:
    """A net of 340,000 weights, and 256 points a task."""
    widths = [64, 512, 512, 64, 5]
    layers = [nn.Sequential(nn.Linear(*pair), nn.Tanh()) for pair in pairwise(widths)]
    data = [labelled(torch.randn(tasks, 256, 64)) for _ in range(2)]
    return Problem(nn.Sequential(*layers), data[0], data[1], F.cross_entropy, steps, 0.01)


CASES: Mapping[str, Callable[[int, int], Problem]] = {
    "MLP": perceptron,
    "4 convolutions": problem.images,
    "Transformer": problem.tokens,
    "LSTM": problem.series,
}


def meta_step(given: Problem, settings: Settings) -> MetaStep:
    """One way to take a meta-step."""

    def evaluator(model: Callable[[Tensor], Tensor], data: Batch) -> Tensor:
        return given.loss(model(data[0]), data[1])

    maml = MAML(given.model, given.steps, given.steps, given.lr, evaluator, **settings)

    def taken() -> None:
        loss = maml.task_losses(given.support, given.query).mean()
        torch.autograd.grad(loss, [*given.model.parameters()])

    return taken


def peak(step: MetaStep) -> int:
    """The most bytes that torch's CPU allocator has given out during a call, and not had back."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    results: Any = profiled.profiler
    events = [event for event in results.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate(int(event.nbytes()) for event in events))


def ratios(steps: Mapping[str, MetaStep], rounds: int) -> dict[str, float]:
    """The time of each way to that of keeping the graph."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.process_time()
            step()
            taken[name].append(time.process_time() - began)
    return {
        name: statistics.median(a / b for a, b in zip(seconds, taken[KEPT], strict=True))
        for name, seconds in taken.items()
    }


def row_of(name: str, tasks: int, steps: int, rounds: int) -> Row:
    """One net with one number of inner steps."""
    given = CASES[name](tasks, steps)
    ways = {way: meta_step(given, settings) for way, settings in WAYS.items()}
    peaks = {way: peak(step) for way, step in ways.items()}
    times = ratios(ways, rounds)
    return Row((name, steps, *(times[w] for w in WAYS), *(peaks[w] / 1e6 for w in WAYS)))


def tables(tasks: int, rounds: int, most: int) -> list[Table]:
    """Every net with every number of steps, but no more than so many."""
    pairs = [(name, steps) for name in CASES for steps in STEPS if steps <= most]
    rows = [row_of(name, tasks, n, rounds) for name, n in tqdm(pairs, desc="nets and steps")]
    headings = [f"{what}, {way}" for what in ("time", "MB at the peak") for way in WAYS]
    title = f"{tasks} tasks; time as a ratio to keeping the graph"
    return [Table(title, ("net", "inner steps", *headings), tuple(rows))]


def main(
    tasks: Annotated[int, typer.Option(help="In a meta-step.")] = 2,
    rounds: Annotated[int, typer.Option(help="For times.")] = 5,
    most: Annotated[int, typer.Option(help="No more inner steps than these.")] = STEPS[-1],
    json_file: Json = None,
) -> None:
    """Measure every net with every number of steps, and print a table."""
    torch.set_num_threads(1)
    finish(tables(tasks, rounds, most), json_file)


if __name__ == "__main__":
    typer.run(main)

"""What a call with other weights costs, as a ratio to the plain call of the same module.

    python benchmarks/overhead.py

All contenders run in one process, one thread, in turn; a ratio is taken within each round and the
median over the rounds is shown, so that a noisy machine cancels out.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import typer
from rich.progress import track
from tables import Json, Limit, Row, Table, finish
from torch import Tensor, nn
from torch.func import functional_call

from metann import DependentModule, Learner


@dataclass(frozen=True)
class Case:
    """A module and an input, with the ratios that metann promises to stay under.

    `calls` of one contender follow on one another before the next has its turn, as in a loop.
    """

    name: str
    module: nn.Module
    x: Tensor
    calls: int
    targets: Mapping[str, float]


def cases() -> list[Case]:
    """The three sizes of the promise: many small layers, very few, and large ones."""
    hidden = (nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    deep = nn.Sequential(*(nn.Linear(8, 8) for _ in range(50)))
    return [
        Case(
            "50 Linear(8, 8)",
            deep,
            torch.randn(1, 8),
            4,
            {"Learner.functional": 1.20, "substitute_from_list + call": 1.06},
        ),
        Case(
            "MLP 1-40-40-1",
            nn.Sequential(*hidden),
            torch.randn(10, 1),
            40,
            {"Learner.functional": 1.25},
        ),
        Case(
            "TransformerEncoder, 6 layers of width 32",
            encoder,
            torch.randn(4, 10, 32),
            4,
            {"Learner.functional": 1.06},
        ),
    ]


def contenders(case: Case) -> dict[str, Callable[[], object]]:
    """The ways to call the module of a case, the plain one first."""
    module, x = case.module, case.x
    learner = Learner(module)
    by_name: dict[str, Tensor] = dict(module.named_parameters())
    params = [*by_name.values()]
    dependent = DependentModule.stateless(module)
    kept = learner.bind(params)

    def substituted() -> object:
        dependent.substitute_from_list(params)
        return dependent(x)

    return {
        "plain": lambda: module(x),
        "torch.func.functional_call": lambda: functional_call(module, by_name, (x,)),
        "Learner.functional": lambda: learner.functional(params, True, x),
        "substitute_from_list + call": substituted,
        "call of what bind returned": lambda: kept(x),
    }


def measure(case: Case, rounds: int) -> dict[str, list[float]]:
    """Seconds a call, for each contender and round; the order turns from round to round."""
    calls = contenders(case)
    names = [*calls]
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in track(range(rounds), description=case.name, transient=True):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            taken[name].append(timeit.timeit(calls[name], number=case.calls) / case.calls)
    return taken


def table_of(case: Case, taken: Mapping[str, list[float]]) -> Table:
    """The figures of one case."""
    rows: list[Row] = []
    for name, seconds in taken.items():
        pairs = zip(seconds, taken["plain"], strict=True)
        ratio = statistics.median(mine / plain for mine, plain in pairs)
        what, most = f"{case.name}: {name} / the plain call", case.targets.get(name)
        limit = None if most is None else Limit(what, ratio, most)
        rows.append(Row((name, statistics.median(seconds) * 1e6, ratio), limit))
    return Table(case.name, ("call", "median µs", "ratio to plain"), tuple(rows))


def tables(rounds: int) -> list[Table]:
    """A table for each case."""
    return [table_of(case, measure(case, rounds)) for case in cases()]


def main(rounds: int = 300, threads: int = 1, json_file: Json = None) -> None:
    """Measure, print the tables, and exit with 1 if a promised ratio is exceeded."""
    torch.default_generator.manual_seed(0)
    torch.set_num_threads(threads)
    finish(tables(rounds), json_file)


if __name__ == "__main__":
    typer.run(main)

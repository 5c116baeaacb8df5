"""What it takes to convert a model whose classes are loaded, to plan a call, and to call it.

    python benchmarks/conversion.py

A net of 200 modules, and models of the sizes of ResNet-18 and GPT-2, written in plain torch. Each
is converted in place, copied without its weights, and given to a `Learner`, for which the time of
the processor is shown; then it is called, as it is and as a function of its weights, by the clock
and in turn. Medians, one thread; the ratio is taken within each round.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import typer
from big_models import GPT2, ResNet18, two_hundred
from rich.progress import track
from tables import Json, Limit, Row, Table, finish
from torch import Tensor, nn

from metann import DependentModule, Learner

PROMISED = 5.0  # milliseconds to convert 200 modules in place
IN_PLACE = "DependentModule(net)"


@dataclass(frozen=True)
class Case:
    """A model, what it is called with, and whether the promise is about it."""

    name: str
    make: Callable[[], nn.Module]
    x: Tensor
    is_promised: bool = False


def cases() -> list[Case]:
    """The net of the promise, and two models of sizes that are met."""
    return [
        Case("200 modules", two_hundred, torch.randn(4, 8), True),
        Case("ResNet-18", ResNet18, torch.randn(1, 3, 64, 64)),
        Case("GPT-2", GPT2, torch.randint(50257, (1, 32))),
    ]


def copies(net: nn.Module, count: int) -> list[nn.Module]:
    """Copies of the modules of a net, which share its tensors."""
    tensors = [*net.parameters(), *net.buffers()]
    return [copy.deepcopy(net, {id(tensor): tensor for tensor in tensors}) for _ in range(count)]


def milliseconds(functions: Sequence[Callable[[], object]]) -> float:
    """The processor's time, the median over the functions but the first, which loads classes."""
    taken: list[float] = []
    for function in functions:
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return statistics.median(taken[1:]) * 1e3


def converted_by(net: nn.Module, rounds: int) -> dict[str, float]:
    """What each kind of conversion takes."""

    def in_place(fresh: nn.Module) -> Callable[[], object]:
        return lambda: DependentModule(fresh)

    again = range(rounds + 1)
    return {
        IN_PLACE: milliseconds([in_place(each) for each in copies(net, len(again))]),
        "DependentModule.stateless(net)": milliseconds(
            [lambda: DependentModule.stateless(net) for _ in again]
        ),
        "Learner(net)": milliseconds([lambda: Learner(net) for _ in again]),
    }


def calls(net: nn.Module, x: Tensor, rounds: int) -> tuple[float, float, float]:
    """Milliseconds of the plain call and of the functional one, and the ratio; without a graph."""
    learner, weights = Learner(net), [*net.parameters()]
    ways = (lambda: net(x), lambda: learner.functional(weights, True, x))
    taken: list[tuple[float, ...]] = []
    with torch.no_grad():
        for number in range(rounds + 2):
            seconds = [0.0, 0.0]
            for index in (0, 1) if number % 2 else (1, 0):
                began = time.perf_counter()
                ways[index]()
                seconds[index] = time.perf_counter() - began
            taken.append((seconds[0] * 1e3, seconds[1] * 1e3, seconds[1] / seconds[0]))
    plain, ours, ratio = (statistics.median(each) for each in zip(*taken[2:], strict=True))
    return plain, ours, ratio


def conversion_rows(case: Case, rounds: int) -> tuple[Row, ...]:
    """A row for each kind of conversion, and one for the calls."""
    net = case.make()
    modules = sum(1 for _ in net.modules())
    rows: list[Row] = []
    for name, taken in converted_by(net, rounds).items():
        limit = Limit(f"{case.name}: {name}, ms", taken, PROMISED)
        is_promised = case.is_promised and name == IN_PLACE
        rows.append(Row((case.name, modules, name, taken), limit if is_promised else None))
    return tuple(rows)


def call_row(case: Case, rounds: int) -> Row:
    """The calls of one model."""
    net = case.make()
    millions = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    return Row((case.name, millions, *calls(net, case.x, rounds)))


def tables(cases: Sequence[Case], rounds: int) -> list[Table]:
    """A table of conversions, and one of calls."""
    conversions = [
        row for case in track(cases, transient=True) for row in conversion_rows(case, rounds)
    ]
    called = [call_row(case, rounds) for case in track(cases, transient=True)]
    columns = "model", "modules", "conversion", "ms"
    headings = "model", "million weights", "plain call, ms", "Learner.functional, ms", "ratio"
    return [
        Table("conversion, the classes being loaded", columns, tuple(conversions)),
        Table("one call in training mode, without a graph", headings, tuple(called)),
    ]


def main(rounds: int = 20, only: str = "", json_file: Json = None) -> None:
    """Measure, print the tables, and exit with 1 if a conversion takes longer than promised."""
    torch.default_generator.manual_seed(0)
    torch.set_num_threads(1)
    finish(tables([case for case in cases() if only in case.name], rounds), json_file)


if __name__ == "__main__":
    typer.run(main)

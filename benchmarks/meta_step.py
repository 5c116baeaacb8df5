"""What a meta-step costs: the losses of all tasks after adaptation, and their meta-gradient.

    pip install -c constraints.txt -r benchmarks/peers/requirements.txt
    python benchmarks/meta_step.py

Everyone computes the same: before any figure is taken, losses and meta-gradients of all contestants
are compared in float64. All run in one process, in turn; a ratio is taken within each round and the
median over the rounds is shown, so that a noisy machine cancels out.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Annotated

import torch
import typer
from peers import loops, problem, vectorised
from peers.problem import MetaGradient, Problem, Run
from tables import NOT_INSTALLED, Json, Limit, Row, Table, finish, show
from torch.testing import assert_close

OURS = "metann: task_losses"
RECIPE = "torch.func: vmap(grad)"
BY_HAND = "torch.baddbmm by hand"
OUR_LOOP = "metann: a loop of Learner.functional"
PEERS = "torch.func: a loop of functional_call", "higher", "TorchOpt"
# What each contestant needs beside torch, by the names that import and pip know.
PACKAGES = {"higher": "higher", "TorchOpt": "torchopt"}


def each_time(function: Callable[[Problem], MetaGradient]) -> Callable[[Problem], Run]:
    """A contestant that prepares nothing."""
    return lambda problem: partial(function, problem)


CONTESTANTS: Mapping[str, Callable[[Problem], Run]] = {
    OURS: vectorised.with_metann,
    OUR_LOOP: each_time(loops.with_learner),
    PEERS[0]: each_time(loops.with_functional_call),
    PEERS[1]: each_time(loops.with_higher),
    PEERS[2]: each_time(loops.with_torchopt),
    RECIPE: each_time(vectorised.with_vmap_of_grad),
    BY_HAND: each_time(vectorised.with_baddbmm),
}


@dataclass(frozen=True)
class Case:
    """A problem, who competes, and the ratios that metann promises to stay under.

    `limits` are of our time to that of one contestant, or, by the name "best peer", to that of the
    fastest of `PEERS` that is installed. `calls` of one contestant follow on one another before the
    next has its turn, as in training.
    """

    name: str
    problem: Callable[[], Problem]
    contestants: tuple[str, ...]
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    calls: int = 1
    rounds: int = 15


def cases() -> list[Case]:
    """Small nets, where the number of operations decides, and a larger one, where kernels do."""
    every = (OURS, OUR_LOOP, *PEERS)
    conv4 = {BEST: 0.97}
    return [
        Case(
            "sinusoids: MLP 1-40-40-1, 25 tasks, 10 + 10 points, 5 steps",
            partial(problem.sinusoids, 25, 5),
            (*every, RECIPE, BY_HAND),
            {BEST: 0.15, RECIPE: 0.5, BY_HAND: 1.6},
            calls=3,
            rounds=30,
        ),
        *(
            Case(
                f"Conv4: 64 channels, 28 x 28, {tasks} tasks, 5 + 75 images, {steps} steps",
                partial(problem.images, tasks, steps),
                every,
                conv4,
                rounds=15 if tasks == 4 else 5,
            )
            for tasks in (4, 32)
            for steps in (1, 5)
        ),
        Case(
            "TransformerEncoder: 2 layers of width 32, 16 tasks, 5 + 25 sets of 16 tokens, 3 steps",
            partial(problem.tokens, 16, 3),
            (OURS, OUR_LOOP),
        ),
        Case(
            "LSTM: 8 to 32, 16 tasks, 5 + 25 series of 20, 3 steps",
            partial(problem.series, 16, 3),
            every,
        ),
    ]


BEST = "best peer"


def is_installed(contestant: str) -> bool:
    package = PACKAGES.get(contestant)
    return package is None or find_spec(package) is not None


def check(given: Problem, names: list[str]) -> None:
    """Let all compute in float64, for a few tasks.

    Raises:
        AssertionError: the losses or meta-gradients of two differ.
    """
    exact = given.in_double(3)
    expected = CONTESTANTS[OUR_LOOP](exact)()
    for name in names:
        found = CONTESTANTS[name](exact)()
        assert_close(found, expected, rtol=1e-9, atol=1e-11, msg=partial("{}: {}".format, name))


def measure(
    case: Case, given: Problem, names: list[str], rounds: int, seconds: float = math.inf
) -> dict[str, list[float]]:
    """Seconds a meta-step, for each contestant and round; the order turns from round to round.

    After `seconds` no further round is begun, but one is measured in any case.
    """
    runs = {name: CONTESTANTS[name](given) for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    began = time.monotonic()
    for number in range(rounds + 1):
        if number > 1 and time.monotonic() - began > seconds:
            break
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.perf_counter()
            for _ in range(case.calls):
                runs[name]()
            taken[name].append((time.perf_counter() - start) / case.calls)
    return {name: seconds[1:] for name, seconds in taken.items()}  # One round to get warm.


def ratio(taken: Mapping[str, list[float]], other: list[float]) -> float:
    """Our time to another's: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(taken[OURS], other, strict=True))


def table_of(case: Case, taken: Mapping[str, list[float]], threads: int) -> Table:
    """The figures of one case, those who are not installed among the rows."""
    of_threads = "1 thread" if threads == 1 else f"{threads} threads"
    peers = [name for name in PEERS if name in taken]
    best = min(peers, key=lambda name: statistics.median(taken[name]), default=None)
    rows: list[Row] = []
    for name in case.contestants:
        if name not in taken:
            rows.append(Row((name, NOT_INSTALLED, None)))
            continue
        most, found = case.limits.get(BEST if name == best else name), ratio(taken, taken[name])
        title = f"{name} ({BEST})" if name == best else name
        what = f"{case.name}, {of_threads}: metann / {title}"
        limit = None if most is None else Limit(what, found, most)
        rows.append(Row((title, statistics.median(taken[name]) * 1e3, found), limit))
    columns = "contestant", "median ms", "metann / this"
    note = f"{of_threads}, {len(taken[OURS])} rounds"
    return Table(case.name, columns, tuple(rows), note)


def tables(
    cases: Iterable[Case], rounds: int, threads: Iterable[int], seconds: float
) -> list[Table]:
    """A table for each case and number of threads."""
    found: list[Table] = []
    for case in cases:
        torch.default_generator.manual_seed(0)
        given = case.problem()
        names = [name for name in case.contestants if is_installed(name)]
        torch.set_num_threads(max(threads))
        check(given, names)
        for number in sorted(set(threads)):
            torch.set_num_threads(number)
            taken = measure(case, given, names, rounds or case.rounds, seconds)
            found.append(table_of(case, taken, number))
            show(found[-1])
    return found


def main(
    rounds: Annotated[int, typer.Option(help="At most; 0 for what each case has.")] = 0,
    seconds: Annotated[float, typer.Option(help="After these, no further round.")] = math.inf,
    threads: Annotated[tuple[int, int], typer.Option(help="Of torch, a table each.")] = (1, 2),
    only: Annotated[str, typer.Option(help="Part of the name of a case.")] = "",
    json_file: Json = None,
) -> None:
    """Compare, measure, print the tables; exit with 1 if a limit is missed."""
    chosen = [case for case in cases() if only in case.name]
    finish(tables(chosen, rounds, threads, seconds), json_file, shown=True)


if __name__ == "__main__":
    typer.run(main)

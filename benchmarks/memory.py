"""The memory of a meta-step: its peak for 1 to 20 inner steps, and what 1000 of them leave behind.

    pip install -c constraints.txt -r benchmarks/peers/requirements.txt
    python benchmarks/memory.py steps --out out/memory.png
    python benchmarks/memory.py meta-steps --count 1000

A net of four convolutions with 64 channels adapts to one task of 5 classes with 5 images of 84 by
84, and the loss on as many others goes back to the weights that it started from. Each figure is
from a process of its own, where torch's kernels are loaded and the model is made before. The peak
is counted by torch's profiler, to the byte: what torch's allocator had given out at a time and not
had back. "resident" is what the process had at the peak and not before, by the system's account;
there, what is freed between things that stay is not always given back. Libraries that are not
installed are left out.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from peers import loops
from peers.problem import Batch, Problem, labelled, sinusoids
from plots import draw_memory
from tables import NOT_INSTALLED, Json, Limit, Row, Table, finish
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

from metann import MAML
from metann.meta.settings import Settings

STEPS = (1, 2, 5, 10, 20)
SIZE = 84
# Of the size of the weights: what an inner step may add with checkpoint=True.
ALLOWED = 1.2
CHECKPOINT = "metann, checkpoint=True"
OURS: Mapping[str, Settings] = {
    "metann": {},
    CHECKPOINT: {"checkpoint": True},
    "metann, mixed_mode=True": {"mixed_mode": True},
}
FIRST_ORDER = "metann, first_order=True"
PEERS: Mapping[str, Callable[[Problem], object]] = {
    "torch.func.functional_call": loops.with_functional_call,
    "higher": loops.with_higher,
    "torchopt": loops.with_torchopt,
}
MEGABYTE = 1e6

app = typer.Typer(add_completion=False, help=__doc__)


# ── the task ─────────────────────────────────────────────────────────────────────────────────


def photographs(steps: int, size: int = SIZE) -> Problem:
    """One task: 25 images of 5 classes to adapt to, and 25 others."""
    widths = [3, 64, 64, 64, 64]
    blocks = [
        (nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
        for i, o in pairwise(widths)
    ]
    head = nn.Linear(64 * (size // 16) ** 2, 5)
    model = nn.Sequential(*(part for block in blocks for part in block), nn.Flatten(), head)
    support, query = (labelled(torch.randn(1, 25, 3, size, size)) for _ in range(2))
    return Problem(model, support, query, F.cross_entropy, steps, 0.01)


def contestants(problem: Problem) -> dict[str, Callable[[], object]]:
    """The ways to take a meta-step, by name."""

    def evaluator(model: Callable[[Tensor], Tensor], data: Batch) -> Tensor:
        return problem.loss(model(data[0]), data[1])

    def ours(first_order: bool, settings: Settings) -> Callable[[], object]:
        maml = MAML(
            problem.model,
            problem.steps,
            problem.steps,
            problem.lr,
            evaluator,
            first_order,
            **settings,
        )

        def meta_step() -> None:
            torch.autograd.backward(maml.task_losses(problem.support, problem.query).mean())

        return meta_step

    def theirs(way: Callable[[Problem], object]) -> Callable[[], object]:
        return lambda: way(problem)

    return {
        **{name: ours(False, settings) for name, settings in OURS.items()},
        FIRST_ORDER: ours(True, {}),
        **{name: theirs(way) for name, way in PEERS.items()},
    }


def names(peers: bool) -> list[str]:
    """The contestants that are there; says which are not."""
    if not peers:
        return [*OURS, FIRST_ORDER]
    missing = [name for name in PEERS if not name.startswith("torch.") and find_spec(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}; see benchmarks/peers/requirements.txt")
    return [name for name in (*OURS, FIRST_ORDER, *PEERS) if name not in missing]


# ── what one process does ────────────────────────────────────────────────────────────────────


def resident() -> int:
    """The most bytes of memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def counted(function: Callable[[], object]) -> int:
    """The most bytes that torch's CPU allocator has given out during a call, and not had back."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        function()
    results: Any = profiled.profiler
    events = [event for event in results.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate(int(event.nbytes()) for event in events))


@app.command(hidden=True)
def one(name: str, steps: int, threads: int, size: int) -> None:
    """Take a meta-step, and another; print how many bytes they needed and how long one took."""
    torch.set_num_threads(threads)
    contestants(photographs(1, size=16))[name]()  # loads what torch loads when first needed
    meta_step = contestants(photographs(steps, size))[name]
    before, began = resident(), time.process_time()
    meta_step()
    found = {"seconds": time.process_time() - began, "resident": resident() - before}
    print(json.dumps({**found, "bytes": counted(meta_step)}))


@app.command(hidden=True)
def many(name: str, count: int) -> None:
    """Take many meta-steps, and print how much memory the later ones added, and their times."""
    torch.set_num_threads(1)
    problem = sinusoids(25, 5)
    meta_step = contestants(problem)[name]
    seconds, settled = list[float](), 0
    adam: Any = torch.optim.Adam(problem.model.parameters())
    for number in range(count):
        began = time.process_time()
        adam.zero_grad()
        meta_step()
        adam.step()
        seconds.append(time.process_time() - began)
        settled = resident() if number == count // 10 else settled
    tenth = max(count // 10, 1)
    early, late = seconds[tenth : 2 * tenth], seconds[-tenth:]
    found = {"bytes": resident() - settled, "early": statistics.median(early)}
    print(json.dumps({**found, "late": statistics.median(late)}))


def measured(*arguments: object) -> dict[str, float]:
    """What a process of its own prints."""
    command = [sys.executable, __file__, *map(str, arguments)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found


# ── the commands ─────────────────────────────────────────────────────────────────────────────


@app.command("steps")
def inner_steps(
    out: Annotated[Path | None, typer.Option(help="A figure, too.")] = None,
    threads: Annotated[int, typer.Option(help="Of torch.")] = 1,
    most: Annotated[int, typer.Option(help="No more inner steps than these.")] = STEPS[-1],
    size: Annotated[int, typer.Option(min=16, help="Width and height of an image.")] = SIZE,
    peers: Annotated[bool, typer.Option(help="Other libraries, too.")] = True,
    json_file: Json = None,
) -> None:
    """Measure the peak for each number of inner steps; exit with 1 if checkpoint=True grows."""
    numbers = [steps for steps in STEPS if steps <= most]
    points_of = [(name, steps) for name in names(peers) for steps in numbers]
    found = {
        (name, steps): measured("one", name, steps, threads, size)
        for name, steps in tqdm(points_of, desc="processes")
    }
    table = table_of(found, numbers, size, peers)
    if out is not None:
        draw_memory(table, out)
    finish([table], json_file)


def added(peaks: Mapping[tuple[str, int], float], name: str, numbers: list[int]) -> float:
    """Bytes an inner step, between the two largest numbers of steps."""
    few, many = numbers[-2:]
    return (peaks[name, many] - peaks[name, few]) / (many - few)


def table_of(
    found: Mapping[tuple[str, int], Mapping[str, float]], numbers: list[int], size: int, peers: bool
) -> Table:
    """Megabytes at the peak, and what a step adds; of the longest loop, more."""
    weights = sum(parameter.nbytes for parameter in photographs(1, size).model.parameters())
    peaks = {key: values["bytes"] for key, values in found.items()}
    rows: list[Row] = []
    for name in (*OURS, FIRST_ORDER, *(PEERS if peers else ())):
        if (name, numbers[0]) not in found:
            rows.append(Row((name, NOT_INSTALLED, *[None] * (len(numbers) + 2))))
            continue
        growth = added(peaks, name, numbers) / weights
        last = found[name, numbers[-1]]
        cells = [peaks[name, steps] / MEGABYTE for steps in numbers]
        cells += [growth, last["resident"] / MEGABYTE, last["seconds"]]
        what = f"memory: what an inner step adds with {CHECKPOINT}, in sizes of the weights"
        limit = Limit(what, growth, ALLOWED) if name == CHECKPOINT else None
        rows.append(Row((name, *cells), limit))
    steps = (f"{number} steps" if number > 1 else "1 step" for number in numbers)
    columns = ("MB at the peak", *steps, "a step adds, in weights", "resident", "seconds")
    title = f"a meta-step of four convolutions on 25 images of {size} by {size}"
    return Table(title, columns, tuple(rows))


@app.command("meta-steps")
def meta_steps(
    count: Annotated[int, typer.Option(min=20, help="Meta-steps.")] = 1000,
    peers: Annotated[bool, typer.Option(help="Other libraries, too.")] = True,
    json_file: Json = None,
) -> None:
    """Take many meta-steps on 25 sinusoids; show what the last nine tenths have added."""
    rows: list[Row] = []
    for name in tqdm(names(peers), desc="processes"):
        found = measured("many", name, count)
        early, late = found["early"], found["late"]
        rows.append(Row((name, found["bytes"] / MEGABYTE, early * 1e3, late * 1e3, late / early)))
    columns = "way", "MB added", "ms early", "ms late", "ratio"
    finish([Table(f"{count} meta-steps of 5 inner steps", columns, tuple(rows))], json_file)


if __name__ == "__main__":
    app()

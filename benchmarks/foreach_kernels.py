"""Inner steps by torch's foreach kernels against a loop over the parameters.

    python benchmarks/foreach_kernels.py

Five steps without a graph, for parameters of a number and a size: the time together over that of
the loop. Both run in one process, one thread, in turn; a ratio is taken within each round and the
median over the rounds is shown. Below 1, they are faster.
"""

# torch's types leave some arguments open:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch
import typer
from rich.progress import track
from tables import Json, Row, Table, finish
from torch import Tensor

from metann import optim
from metann.optim import foreach

SIZES = ((6, 40), (20, 64), (60, 64), (10, 4096), (10, 8192), (20, 16384), (10, 131072))
STEPS = 5


def optimizers() -> dict[str, optim.Optimizer]:
    return {
        "SGD with momentum": optim.SGD(0.1, momentum=0.9),
        "Adam": optim.Adam(),
        "Adagrad": optim.Adagrad(),
        "RMSprop": optim.RMSprop(),
        "Adadelta": optim.Adadelta(),
    }


def seconds(optimizer: optim.Optimizer, params: list[Tensor], grads: list[Tensor]) -> float:
    state = optimizer.init(params)
    start = time.perf_counter()
    for _ in range(STEPS):
        params, state = optimizer.step(params, grads, state)
    return time.perf_counter() - start


def ratio(optimizer: optim.Optimizer, number: int, size: int, rounds: int) -> float:
    """The time by foreach kernels over that of the loop, the median of some rounds."""
    params, grads = ([torch.randn(size) for _ in range(number)] for _ in range(2))
    found: list[float] = []
    for _ in range(rounds):
        times: list[float] = []
        for least, largest in ((1, 10**9), (10**9, 0)):
            foreach.LEAST_NUMBER, foreach.LARGEST_MEAN_SIZE = least, largest
            times.append(seconds(optimizer, params, grads))
        found.append(times[0] / times[1])
    return statistics.median(found)


def tables(rounds: int, sizes: Sequence[tuple[int, int]] = SIZES) -> list[Table]:
    """The ratios, a row for each number and size of parameters."""
    chosen = foreach.LEAST_NUMBER, foreach.LARGEST_MEAN_SIZE
    rows: list[Row] = []
    for number, size in track(sizes, transient=True):
        few = max(rounds * 20_000 // (20_000 + number * size), 5)
        ratios = [ratio(optimizer, number, size, few) for optimizer in optimizers().values()]
        rows.append(Row((f"{number} of {size}", *ratios)))
    foreach.LEAST_NUMBER, foreach.LARGEST_MEAN_SIZE = chosen
    title = "time by the foreach kernels / time by the loop, five steps"
    return [Table(title, ("parameters", *optimizers()), tuple(rows))]


def main(rounds: int = 40, json_file: Json = None) -> None:
    """Print a table of the ratios."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    finish(tables(rounds), json_file)


if __name__ == "__main__":
    typer.run(main)

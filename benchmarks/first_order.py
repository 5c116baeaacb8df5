"""What first-order gradients cost through a functional call, as a ratio to the plain module.

    python benchmarks/first_order.py

The second derivatives that metann gives to torch's kernels must cost nothing where nobody asks for
them: forward and backward of a Transformer take what they take without metann, whose derivatives
are withdrawn for the plain module's turn. The contenders run in one process, in turn; the median
over the rounds of the ratio within each round is shown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
import typer
from rich.progress import track
from tables import Json, Limit, Row, Table, finish
from torch import Tensor, nn

from metann import Learner
from metann.functional.derivatives import withdrawn

PROMISED = 1.03
PLAIN = "plain"
Gradients = Callable[[], tuple[Tensor, ...]]


def contenders(batch: int, layers: int) -> dict[str, Gradients]:
    """Forward and backward of one net of width 256 over 128 tokens, the plain one first."""
    layer = nn.TransformerEncoderLayer(256, 4, 512, dropout=0.0, batch_first=True)
    module = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    x, learner = torch.randn(batch, 128, 256), Learner(module)
    weights = list(module.parameters())
    bound = learner.bind(weights)

    def gradients_of(call: Callable[[], Tensor]) -> Gradients:
        return lambda: torch.autograd.grad(call().square().mean(), weights)

    return {
        PLAIN: gradients_of(lambda: module(x)),
        "plain, after a conversion": gradients_of(lambda: module(x)),
        "Learner.functional": gradients_of(lambda: learner.functional(weights, True, x)),
        "what bind returned": gradients_of(lambda: bound(x)),
    }


def measure(calls: Mapping[str, Gradients], rounds: int) -> dict[str, list[float]]:
    """Seconds a call, for each contender and round; the order turns from round to round."""
    names = [*calls]
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in track(range(rounds + 2), description="first order", transient=True):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            with withdrawn() if name == PLAIN else nullcontext():
                start = time.perf_counter()
                calls[name]()
                taken[name].append(time.perf_counter() - start)
    return {name: seconds[2:] for name, seconds in taken.items()}  # Two rounds to get warm.


def table_of(taken: Mapping[str, list[float]], title: str) -> Table:
    """The figures of all contenders."""
    rows: list[Row] = []
    for name, seconds in taken.items():
        pairs = zip(seconds, taken[PLAIN], strict=True)
        ratio = statistics.median(mine / plain for mine, plain in pairs)
        limit = Limit(f"first order: {name} / the plain module", ratio, PROMISED)
        cells = name, statistics.median(seconds) * 1e3, ratio
        rows.append(Row(cells, None if name == PLAIN else limit))
    return Table(title, ("gradients through", "median ms", "ratio to plain"), tuple(rows))


def tables(rounds: int, batch: int, layers: int) -> list[Table]:
    """One table."""
    title = f"TransformerEncoder, {layers} layers of width 256, {batch} times 128 tokens"
    return [table_of(measure(contenders(batch, layers), rounds), title)]


def main(
    rounds: int = 30, batch: int = 8, layers: int = 6, threads: int = 1, json_file: Json = None
) -> None:
    """Measure, print the table, and exit with 1 if the promised ratio is exceeded."""
    torch.default_generator.manual_seed(0)
    torch.set_num_threads(threads)
    finish(tables(rounds, batch, layers), json_file)


if __name__ == "__main__":
    typer.run(main)

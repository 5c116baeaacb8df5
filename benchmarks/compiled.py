"""What torch.compile makes of a meta-step, and how long it takes to do so.

    python benchmarks/compiled.py

The sinusoid net of the MAML paper, 25 tasks: the compiled meta-step (losses of all tasks after
adaptation, and the meta-gradient) against the same without the compiler. Both run in one process,
one thread, in turn; a ratio is taken within each round and the median over the rounds is shown.
"""

# torch's types leave some arguments open:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch
import typer
from rich.progress import track
from tables import Json, Row, Table, finish
from torch import Tensor, nn
from torch.nn import functional as F

from metann import MAML
from metann.tasks import Episodes, Examples, Sinusoids

MetaStep = Callable[[], None]


def evaluator(model: nn.Module, points: Examples) -> Tensor:
    return F.mse_loss(model(points.inputs), points.targets)


def make_maml(steps: int) -> MAML[Examples]:
    net = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    return MAML(net, steps, steps, 0.01, evaluator)


def meta_steps(maml: MAML[Examples], episodes: Episodes, backend: str) -> tuple[MetaStep, MetaStep]:
    """The meta-step with the compiler, and without."""

    def objective(support: Examples, query: Examples) -> Tensor:
        return maml.task_losses(support, query).mean()

    compiled = torch.compile(objective, fullgraph=True, backend=backend)

    def step_of(objective: Callable[[Examples, Examples], Tensor]) -> MetaStep:
        def step() -> None:
            maml.zero_grad()
            torch.autograd.backward(objective(*episodes))

        return step

    return step_of(compiled), step_of(objective)


def seconds(step: MetaStep, calls: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return (time.perf_counter() - start) / calls


def require_same(compiled: MetaStep, plain: MetaStep, maml: MAML[Examples]) -> None:
    """The meta-gradients of both, up to rounding."""
    found: list[list[Tensor | None]] = []
    for step in (compiled, plain):
        step()
        found.append([parameter.grad for parameter in maml.parameters()])
    torch.testing.assert_close(found[0], found[1])


def row_of(steps: int, rounds: int, backend: str) -> Row:
    """Compile a meta-step, and measure it."""
    maml, episodes = make_maml(steps), Sinusoids().draw(25, shots=10)
    compiled, plain = meta_steps(maml, episodes, backend)
    once = seconds(compiled)
    require_same(compiled, plain, maml)
    pairs = [
        (seconds(compiled, 5), seconds(plain, 5))
        for _ in track(range(rounds), description=f"{steps} inner steps", transient=True)
    ]
    ratio = statistics.median(mine / its for mine, its in pairs)
    medians = (statistics.median(each) * 1e3 for each in zip(*pairs, strict=True))
    return Row((steps, once, *medians, ratio))


def tables(rounds: int, backend: str, inner_steps: Sequence[int]) -> list[Table]:
    """A row for each number of inner steps."""
    columns = "inner steps", "compiling, s", "compiled, ms", "as it is, ms", "ratio"
    rows = tuple(row_of(steps, rounds, backend) for steps in inner_steps)
    return [Table(f"a meta-step of 25 sinusoids, backend {backend}", columns, rows)]


def main(
    rounds: int = 30,
    backend: str = "inductor",
    threads: int = 1,
    steps: tuple[int, int] = (1, 5),
    json_file: Json = None,
) -> None:
    """Compile a meta-step of 1 and of 5 inner steps, and print what that took and brought."""
    torch.default_generator.manual_seed(0)
    torch.set_num_threads(threads)
    finish(tables(rounds, backend, steps), json_file)


if __name__ == "__main__":
    typer.run(main)

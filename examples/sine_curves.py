"""Learn to fit a sine curve from ten of its points: MAML's first experiment.

Every task is a curve of its own, with an amplitude and a phase. A small net is meta-trained so that
a single gradient step on ten points fits the curve (arXiv 1703.03400, section 5.1). Beside it, the
same net is trained plainly on the same points of all curves, and then adapts by the same steps.
What it can learn in this way is the mean of all curves, and from there ten points do not lead far.

    python examples/sine_curves.py --seed 0 --iterations 10000 --out out/sine_curves.png
"""

# matplotlib's types leave **kwargs open:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from metann import MAML
from metann.tasks import Curves, Episodes, Examples, Sinusoids

TASKS_AN_ITERATION = 25
POINTS = 10  # of each curve to adapt on
QUERY_POINTS = 100  # of each curve to measure on, when all is trained
STEP_SIZE = 0.01
OUTER_STEP_SIZE = 1e-3

TEST_TASKS = 600
TEST_STEPS = 10  # meta-training takes one
SHOWN_STEPS = (0, 1, 5, 10)
STEP_SIZES = (0.001, 0.003, 0.01, 0.03)  # for the plainly trained net, the best one is found out

PALE_TO_DARK = ("#c6dbef", "#6baed6", "#2171b5", "#08306b")


def make_net() -> nn.Sequential:
    """The net of the paper: 1,761 weights."""
    return nn.Sequential(
        nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
    )


def squared_error(model: nn.Module, points: Examples) -> Tensor:
    """The mean squared error of a model on points of a curve."""
    return F.mse_loss(model(points.inputs), points.targets)


def make_maml(net: nn.Module, steps: int, step_size: float = STEP_SIZE) -> MAML[Examples]:
    """Adaptation by so many steps in training. With none it is plain training on all curves."""
    return MAML(net, steps, TEST_STEPS, step_size, squared_error)


def train(maml: MAML[Examples], iterations: int, seed: int, name: str) -> list[float]:
    """Change the net's parameters so that the loss after the inner steps becomes small.

    Returns that loss in each iteration, which is on points that were not adapted to.
    """
    optimizer = torch.optim.Adam(maml.parameters(), lr=OUTER_STEP_SIZE)
    dice = torch.Generator().manual_seed(seed)
    history: list[float] = []
    bar = tqdm(range(iterations), desc=name, unit="it")
    for _ in bar:
        optimizer.zero_grad()
        losses = maml.task_losses(*Sinusoids().draw(TASKS_AN_ITERATION, POINTS, generator=dice))
        loss = losses.mean()
        loss.backward()  # type: ignore[no-untyped-call]  # through the inner step, into the net
        optimizer.step()
        history.append(loss.item())
        if len(history) % 50 == 0:
            bar.set_postfix_str(f"loss {sum(history[-500:]) / len(history[-500:]):.3f}")
    return history


def new_curves(tasks: int, seed: int) -> Episodes:
    """Curves that no net was trained on: ten points to adapt on, many to measure on."""
    dice = torch.Generator().manual_seed(seed)
    return Sinusoids().draw(tasks, POINTS, QUERY_POINTS, generator=dice)


@torch.no_grad()
def test(net: nn.Module, step_size: float, curves: Episodes) -> Tensor:
    """The squared error on curves, one row each, a column for each number of steps."""
    return make_maml(net, TEST_STEPS, step_size).eval().losses_by_step(*curves)


def best_step_size(net: nn.Module, tasks: int) -> float:
    """The one with which this net is best after all steps, on curves of their own."""
    curves = new_curves(tasks, 2**31 + 1)
    return min(STEP_SIZES, key=lambda size: test(net, size, curves)[:, -1].mean().item())


def mean_and_interval(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over tasks, and half the width of its 95% interval."""
    return rows.mean(dim=0), 1.96 * rows.std(dim=0) / len(rows) ** 0.5


def report(meta: Tensor, plain: Tensor, plain_step_size: float) -> None:
    """Print the errors after some numbers of steps."""
    print(f"\nsquared error on {len(meta)} new curves, ten points given, with 95% intervals")
    print(f"{'gradient steps':<24}" + "".join(f"{steps:>16}" for steps in SHOWN_STEPS))
    for name, rows in (("meta-trained net", meta), ("plainly trained net", plain)):
        mean, half = mean_and_interval(rows)
        cells = [f"{mean[k]:.3f} ± {half[k]:.3f}" for k in SHOWN_STEPS]
        print(f"{name:<24}" + "".join(f"{cell:>16}" for cell in cells))
    print(f"step size {STEP_SIZE}; for the plainly trained net {plain_step_size}, its best")


def on_a_log_scale(axes: Axes) -> None:
    """With 0.1, 0.2, 0.5, 1, ... beside the axis."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def draw_training(axes: Axes, history: list[float]) -> None:
    """The loss after the inner step, over meta-training."""
    window = max(1, len(history) // 50)
    smooth = torch.tensor(history).unfold(0, window, 1).mean(dim=1)
    axes.plot(range(window, len(history) + 1), smooth, color="tab:blue")
    axes.set(title=f"Meta-training, mean of the last {window}")
    axes.set(xlabel="iteration", ylabel="squared error after 1 step")
    on_a_log_scale(axes)


def draw_errors(axes: Axes, meta: Tensor, plain: Tensor) -> None:
    """The error on new curves by the number of steps."""
    steps = range(TEST_STEPS + 1)
    for name, rows, colour in (
        ("plainly trained", plain, "tab:orange"),
        ("meta-trained", meta, "tab:blue"),
    ):
        mean, half = mean_and_interval(rows)
        axes.plot(steps, mean, "o-", markersize=4, color=colour, label=name)
        axes.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.25)
    axes.set(title=f"{len(meta)} new curves, 95% intervals")
    axes.set(xlabel="gradient steps on ten points", ylabel="squared error")
    on_a_log_scale(axes)
    axes.legend()


@torch.no_grad()
def draw_curves(axes: Axes, net: nn.Module, step_size: float, curve: Curves) -> None:
    """What a net makes of ten points of a curve, after some numbers of steps."""
    x = torch.linspace(-5, 5, 201).unsqueeze(1)
    dice = torch.Generator().manual_seed(7)
    given = 10 * torch.rand(POINTS, 1, generator=dice) - 5
    support = Examples(given, curve(given)[0])
    maml = make_maml(net, TEST_STEPS, step_size).eval()
    axes.plot(x, curve(x)[0], color="tab:red", linewidth=3, alpha=0.4, label="the curve")
    for steps, colour in zip(SHOWN_STEPS, PALE_TO_DARK, strict=True):
        fitted: Tensor = maml.adapt(support, steps).model(x)
        axes.plot(x, fitted, color=colour, label=f"{steps} step{'s' * (steps != 1)}")
    axes.plot(*support, "o", color="black", markersize=5, label="points given", zorder=3)
    axes.set(xlabel="x", ylim=(-5, 5))


def main(
    seed: Annotated[int, typer.Option(help="Of the first weights and of the tasks.")] = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Of each training.")] = 10_000,
    test_tasks: Annotated[int, typer.Option(min=2, help="New curves.")] = TEST_TASKS,
    out: Annotated[Path, typer.Option(help="The figure.")] = Path("out/sine_curves.png"),
) -> None:
    """Meta-train on sine curves, then fit new ones from ten points."""
    torch.set_num_threads(1)  # the net is so small that sharing its work would cost more
    torch.manual_seed(seed)
    meta_net = make_net()
    plain_net = copy.deepcopy(meta_net)
    history = train(make_maml(meta_net, 1), iterations, seed, "meta-training")
    train(make_maml(plain_net, 0), iterations, seed, "plain training")

    plain_step_size = best_step_size(plain_net, test_tasks)
    curves = new_curves(test_tasks, 2**31)
    meta, plain = test(meta_net, STEP_SIZE, curves), test(plain_net, plain_step_size, curves)
    report(meta, plain, plain_step_size)

    figure = Figure(figsize=(10, 7.4), layout="constrained")
    (top_left, top_right), (left, right) = figure.subplots(2, 2)
    draw_training(top_left, history)
    draw_errors(top_right, meta, plain)
    curve = Sinusoids(amplitude=(4, 4), phase=(1, 1)).draw_curves(1)
    draw_curves(left, meta_net, STEP_SIZE, curve)
    draw_curves(right, plain_net, plain_step_size, curve)
    left.set(title="A new curve, fitted by the meta-trained net")
    right.set(title="The same, fitted by the plainly trained net")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    for axes in (top_left, top_right, left, right):
        axes.grid(alpha=0.3)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    print(f"figure: {out}")


if __name__ == "__main__":
    typer.run(main)

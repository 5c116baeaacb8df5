"""A net that writes the weights of another: it reads some labelled points, and gives a classifier.

A task is two crescents in the plane, turned, stretched and shifted, of which some points are given
with their labels. The hypernetwork reads these points, in any number and any order, and writes all
weights of a small classifier in one pass. Nothing is trained when a new task comes. The loss of the
classifiers is differentiated *through* their weights, into the net that has written them.

For comparison, the same classifier is trained on the given points of each task, and each point is
given the label of its nearest neighbour. These two know nothing but the points of the task, while
the hypernetwork has seen other crescents before: that is what it has learned.

    python examples/hypernetwork.py --seed 0 --iterations 2000 --out out/hypernetwork.png
"""

# matplotlib's types leave **kwargs open:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from metann import Learner, optim
from metann.tasks import Episodes, Examples

POINTS = (1, 2, 3, 5, 8, 12)  # of each of the two classes, with their labels
PRINTED_POINTS = (1, 3, 12)
QUERY_POINTS = 50  # of each class, to measure on
TASKS_AN_ITERATION = 64
OUTER_STEP_SIZE = 1e-3

TEST_TASKS = 500
# Of the classifiers that are trained. With step sizes of 0.003 and 0.01, and with 10 to 300 steps,
# none was more than a point better at any number of labelled points.
TRAINING_STEPS = 100
TRAINING_STEP_SIZE = 0.03

WRITTEN, TRAINED, NEAREST = "written by hypernetwork", "trained on the points", "nearest neighbour"
COLOURS = ("tab:blue", "tab:green", "tab:orange")
SHOWN_POINTS = 3
SHADES = [k / 10 for k in range(11)]

Weights = dict[str, Tensor]  # those of T classifiers: each tensor of shape (T, ...)


def draw_tasks(tasks: int, points: int, dice: torch.Generator) -> Episodes:
    """So many tasks, `points` of each class to learn from; inputs (T, n, 2), labels (T, n)."""
    each = points + QUERY_POINTS

    def even(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(tasks, *shape, generator=dice)

    along = even(0, math.pi, each)
    upper = torch.stack([along.cos() - 0.5, along.sin() - 0.25], dim=-1)
    along = even(0, math.pi, each)
    lower = torch.stack([0.5 - along.cos(), 0.25 - along.sin()], dim=-1)
    both = torch.stack([upper, lower], dim=1) * even(0.6, 1.4, 1, 1, 2)
    angle = even(0, 2 * math.pi)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1)
    turned = both @ turn.view(-1, 1, 2, 2) + even(-0.5, 0.5, 1, 1, 2)
    noisy = turned + 0.12 * torch.randn(turned.shape, generator=dice)
    labels = torch.tensor([0.0, 1.0]).view(1, 2, 1).expand(tasks, 2, each)
    support = Examples(noisy[:, :, :points].flatten(1, 2), labels[:, :, :points].flatten(1))
    query = Examples(noisy[:, :, points:].flatten(1, 2), labels[:, :, points:].flatten(1))
    return Episodes(support, query)


def make_classifier() -> nn.Sequential:
    """From a point of the plane to the score of label 1: 1,185 weights, all to be written."""
    return nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0)
    )


class Hypernetwork(nn.Module):
    """From labelled points to the weights of a classifier.

    Each point is read by itself; the mean of what was read does not depend on their order.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.shapes = {name: weight.shape for name, weight in classifier.named_parameters()}
        self.sizes = [shape.numel() for shape in self.shapes.values()]
        self.read = nn.Sequential(
            nn.Linear(3, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128)
        )
        self.write = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, sum(self.sizes)))

    def forward(self, points: Tensor, labels: Tensor) -> Weights:
        """(T, n, 2) and (T, n) -> weights of T classifiers."""
        labelled = torch.cat([points, 2 * labels.unsqueeze(-1) - 1], dim=-1)
        task: Tensor = self.read(labelled).mean(dim=-2)
        written: Tensor = self.write(task)
        pieces = torch.split(written, self.sizes, dim=-1)
        named = zip(self.shapes.items(), pieces, strict=True)
        return {name: piece.view(-1, *shape) for (name, shape), piece in named}


def train(
    hyper: Hypernetwork, learner: Learner[nn.Sequential], iterations: int, seed: int
) -> list[float]:
    """Change the hypernetwork so that what it writes is right on points that it has not read.

    Returns the accuracy of the written classifiers in each iteration.
    """
    optimizer = torch.optim.Adam(hyper.parameters(), lr=OUTER_STEP_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    dice = torch.Generator().manual_seed(seed)
    history: list[float] = []
    bar = tqdm(range(iterations), desc="training", unit="it")
    for _ in bar:
        points = int(torch.randint(1, max(POINTS) + 1, (), generator=dice))
        support, query = draw_tasks(TASKS_AN_ITERATION, points, dice)
        scores = learner.batched(hyper(*support), True, query.inputs)
        loss = F.binary_cross_entropy_with_logits(scores, query.targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # through the weights, into their writer
        optimizer.step()
        schedule.step()
        history.append(accuracies(scores, query.targets).mean().item())
        if len(history) % 50 == 0:
            bar.set_postfix_str(f"accuracy {100 * sum(history[-50:]) / 50:.1f} %")
    return history


def accuracies(scores: Tensor, labels: Tensor) -> Tensor:
    """The share of points whose score has the sign of their label, for each task: (T,)."""
    return ((scores > 0) == (labels > 0.5)).float().mean(dim=-1)


class Methods:
    """Three ways from labelled points to the scores of others, each for T tasks at once."""

    def __init__(self, learner: Learner[nn.Sequential], hyper: Hypernetwork) -> None:
        self.learner, self.hyper = learner, hyper

    @torch.no_grad()
    def written(self, support: Examples, points: Tensor) -> Tensor:
        """By classifiers that the hypernetwork writes, in one pass."""
        scores: Tensor = self.learner.batched(self.hyper(*support), False, points)
        return scores

    def trained(self, support: Examples, points: Tensor) -> Tensor:
        """By classifiers that are trained by Adam, each on the points of its task."""
        tasks = len(support.inputs)
        own = (weight.detach() for weight in self.learner.module.parameters())
        weights = [weight.expand(tasks, *weight.shape).requires_grad_() for weight in own]
        adam = optim.Adam(lr=TRAINING_STEP_SIZE)
        state = adam.init(weights)
        for _ in range(TRAINING_STEPS):
            scores: Tensor = self.learner.batched(weights, True, support.inputs)
            losses = F.binary_cross_entropy_with_logits(scores, support.targets, reduction="none")
            # Of the sum over tasks, so that each task's weights get the gradient of its own loss.
            gradients = torch.autograd.grad(losses.mean(dim=1).sum(), weights)
            weights, state = adam.step(weights, gradients, state)
        with torch.no_grad():
            found: Tensor = self.learner.batched(weights, False, points)
        return found

    def nearest(self, support: Examples, points: Tensor) -> Tensor:
        """By the label of the point that lies nearest."""
        nearest = torch.cdist(points, support.inputs).argmin(dim=-1)
        return support.targets.gather(1, nearest) - 0.5


def test(methods: Methods, tasks: int) -> dict[str, list[Tensor]]:
    """For each method the accuracies on new tasks, (T,), for each number of points."""
    found: dict[str, list[Tensor]] = {WRITTEN: [], NEAREST: [], TRAINED: []}
    for points in tqdm(POINTS, desc="test", unit="size"):
        support, query = draw_tasks(tasks, points, torch.Generator().manual_seed(2**31))
        scores = {
            WRITTEN: methods.written(support, query.inputs),
            NEAREST: methods.nearest(support, query.inputs),
            TRAINED: methods.trained(support, query.inputs),
        }
        for name, score in scores.items():
            found[name].append(accuracies(score, query.targets))
    return found


def mean_and_interval(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over tasks, the last dimension, and half the width of its 95% interval."""
    return rows.mean(dim=-1), 1.96 * rows.std(dim=-1) / rows.shape[-1] ** 0.5


def report(found: dict[str, list[Tensor]], tasks: int) -> None:
    """Print the accuracies for some numbers of points."""
    print(f"\naccuracy on {tasks} new tasks, with 95% intervals")
    print(f"{'labelled points a class':<26}" + "".join(f"{n:>16}" for n in PRINTED_POINTS))
    for name, rows in found.items():
        mean, half = mean_and_interval(torch.stack([rows[POINTS.index(n)] for n in PRINTED_POINTS]))
        cells = [f"{100 * m:.1f} ± {100 * h:.1f} %" for m, h in zip(mean, half, strict=True)]
        print(f"{name:<26}" + "".join(f"{cell:>16}" for cell in cells))


def draw_accuracies(axes: Axes, found: dict[str, list[Tensor]]) -> None:
    """Accuracy by the number of labelled points."""
    for (name, rows), colour in zip(found.items(), COLOURS, strict=True):
        mean, half = mean_and_interval(torch.stack(rows))
        axes.plot(POINTS, mean, "o-", markersize=4, color=colour, label=name)
        axes.fill_between(POINTS, mean - half, mean + half, color=colour, alpha=0.25)
    axes.set(title=f"{len(found[WRITTEN][0])} new tasks, 95% intervals")
    axes.set(xlabel="labelled points of each class", ylabel="accuracy", xticks=POINTS)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def draw_boundaries(figure: SubFigure, methods: Methods) -> None:
    """What two methods make of the same points, in three tasks."""
    support, query = draw_tasks(3, SHOWN_POINTS, torch.Generator().manual_seed(2**31 + 99))
    side = torch.linspace(-2.3, 2.3, 81)
    plane = torch.cartesian_prod(side, side).expand(3, -1, 2)
    scores = methods.written(support, plane), methods.trained(support, plane)
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for row, name, score in zip(panels, (WRITTEN, TRAINED), scores, strict=True):
        row[0].set_ylabel(name)
        for task, axes in enumerate(row):
            ink = score[task].sigmoid().view(len(side), len(side)).T
            axes.contourf(side, side, ink, levels=SHADES, cmap="RdBu", alpha=0.45)
            axes.contour(side, side, ink, levels=[0.5], colors="black", linewidths=1)
            inputs, labels = query.inputs[task], query.targets[task]
            axes.scatter(*inputs.T, s=3, c=labels, cmap="RdBu")
            inputs, labels = support.inputs[task], support.targets[task]
            axes.scatter(*inputs.T, s=45, c=labels, cmap="RdBu", edgecolors="black")
            axes.set(xticks=[], yticks=[], aspect="equal")
    figure.suptitle(f"Three new tasks, {SHOWN_POINTS} points of each class (large)")


def main(
    seed: Annotated[int, typer.Option(help="Of the first weights and of the tasks.")] = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Of training.")] = 2000,
    test_tasks: Annotated[int, typer.Option(min=2, help="New tasks.")] = TEST_TASKS,
    out: Annotated[Path, typer.Option(help="The figure.")] = Path("out/hypernetwork.png"),
) -> None:
    """Train a hypernetwork to write classifiers, and compare these with trained ones."""
    torch.set_num_threads(1)  # the nets are so small that sharing their work would cost more
    torch.manual_seed(seed)
    learner = Learner(make_classifier())
    hyper = Hypernetwork(learner.module)
    train(hyper, learner, iterations, seed)
    methods = Methods(learner, hyper)
    found = test(methods, test_tasks)
    report(found, test_tasks)

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, width_ratios=[2, 3], squeeze=False)
    draw_accuracies(left.subplots(), found)
    draw_boundaries(right, methods)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    print(f"figure: {out}")


if __name__ == "__main__":
    typer.run(main)

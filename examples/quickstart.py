"""Learn to learn handwritten digits: second-order MAML, written out by hand.

A small convolutional net meets tasks of three digit classes, five labelled images of each, and
has five gradient steps to tell them apart. Meta-training looks for weights from which those five
steps work best, so it differentiates *through* them: the weights after a step are results of a
computation, which `metann.Learner` lets the net use. The classes 5 to 9 are kept for the end:
nothing is trained, chosen or stopped by looking at them.

    python examples/quickstart.py --seed 0 --iterations 400 --out out/quickstart.png
"""

# scikit-learn has no types, and matplotlib's leave **kwargs open:
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib
import torch
import typer
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

import metann

matplotlib.use("Agg")  # a file, not a window
from matplotlib import pyplot as plt
from matplotlib.ticker import PercentFormatter

META_TRAIN_CLASSES = range(0, 5)
META_TEST_CLASSES = range(5, 10)

CLASSES_A_TASK = 3
SUPPORT_IMAGES = 5  # of each class, to adapt on
QUERY_IMAGES = 15  # of each class, to measure on

INNER_STEPS = 5
INNER_STEP_SIZE = 0.1
TASKS_AN_ITERATION = 4
OUTER_STEP_SIZE = 3e-3

TEST_TASKS = 200
TEST_STEPS = 10  # twice as many as meta-training knew, to see whether more still helps


@dataclass(frozen=True)
class Task:
    """A classification problem with labels of its own: 0, 1, 2 mean other digits each time."""

    support_images: Tensor
    support_labels: Tensor
    query_images: Tensor
    query_labels: Tensor


class Digits:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, by class."""

    def __init__(self) -> None:
        images, labels = load_digits(return_X_y=True)
        pixels = torch.as_tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
        classes = torch.as_tensor(labels)
        self.by_class = [pixels[classes == digit] for digit in range(10)]

    def draw_task(self, classes: range, dice: torch.Generator) -> Task:
        """A task of three of these classes, labelled in random order."""
        order: list[int] = torch.randperm(len(classes), generator=dice)[:CLASSES_A_TASK].tolist()
        support: list[Tensor] = []
        query: list[Tensor] = []
        for position in order:
            images = self.by_class[classes[position]]
            chosen = torch.randperm(len(images), generator=dice)[: SUPPORT_IMAGES + QUERY_IMAGES]
            support.append(images[chosen[:SUPPORT_IMAGES]])
            query.append(images[chosen[SUPPORT_IMAGES:]])
        labels = torch.arange(CLASSES_A_TASK)
        return Task(
            torch.cat(support),
            labels.repeat_interleave(SUPPORT_IMAGES),
            torch.cat(query),
            labels.repeat_interleave(QUERY_IMAGES),
        )


def make_net() -> nn.Sequential:
    """Two convolutions and a linear layer: 9,955 weights."""
    return nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, CLASSES_A_TASK),
    )


def adaptation_step(
    learner: metann.Learner[nn.Sequential], weights: list[Tensor], task: Task, *, second_order: bool
) -> list[Tensor]:
    """The weights after one gradient step on the support images: results, not parameters."""
    scores = learner.functional(weights, True, task.support_images)
    loss = F.cross_entropy(scores, task.support_labels)
    gradients = torch.autograd.grad(loss, weights, create_graph=second_order)
    return [w - INNER_STEP_SIZE * g for w, g in zip(weights, gradients, strict=True)]


def accuracy(scores: Tensor, labels: Tensor) -> float:
    """The share of images whose highest score is that of their label."""
    return (scores.argmax(dim=1) == labels).float().mean().item()


def meta_train(net: nn.Sequential, digits: Digits, iterations: int, seed: int) -> list[float]:
    """Change the net's parameters so that adaptation works well from them.

    Returns the accuracy after adaptation in each iteration, on classes 0 to 4.
    """
    learner = metann.Learner(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=OUTER_STEP_SIZE)
    dice = torch.Generator().manual_seed(seed)
    history: list[float] = []
    bar = tqdm(range(iterations), desc="meta-training", unit="it")
    for _ in bar:
        optimizer.zero_grad()
        correct = 0.0
        for _ in range(TASKS_AN_ITERATION):
            task = digits.draw_task(META_TRAIN_CLASSES, dice)
            weights: list[Tensor] = list(net.parameters())
            for _ in range(INNER_STEPS):
                weights = adaptation_step(learner, weights, task, second_order=True)
            scores = learner.functional(weights, True, task.query_images)
            loss = F.cross_entropy(scores, task.query_labels)
            scaled = loss / TASKS_AN_ITERATION
            # Through all steps, into net.parameters(); torch has no types for it.
            scaled.backward()  # type: ignore[no-untyped-call]
            correct += accuracy(scores, task.query_labels) / TASKS_AN_ITERATION
        optimizer.step()
        history.append(correct)
        recent = history[-20:]
        bar.set_postfix_str(f"accuracy {100 * sum(recent) / len(recent):.1f} %")
    return history


def meta_test(net: nn.Sequential, digits: Digits, tasks: int) -> Tensor:
    """Accuracy on unseen classes, one row a task, one column for each number of steps taken.

    The tasks are the same for every net, so that nets can be compared.
    """
    learner = metann.Learner(net)
    dice = torch.Generator().manual_seed(2**31)
    rows: list[list[float]] = []
    for _ in tqdm(range(tasks), desc="meta-test", unit="task"):
        task = digits.draw_task(META_TEST_CLASSES, dice)
        weights: list[Tensor] = list(net.parameters())
        row: list[float] = []
        for step in range(TEST_STEPS + 1):
            if step > 0:
                weights = adaptation_step(learner, weights, task, second_order=False)
            with torch.no_grad():
                row.append(
                    accuracy(
                        learner.functional(weights, False, task.query_images), task.query_labels
                    )
                )
        rows.append(row)
    return torch.tensor(rows)


def mean_and_interval(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over tasks, and half the width of its 95% interval."""
    return rows.mean(dim=0), 1.96 * rows.std(dim=0) / len(rows) ** 0.5


def report(trained: Tensor, untrained: Tensor) -> None:
    """Print accuracy before and after adaptation, with intervals over the test tasks."""
    print(f"\naccuracy on the unseen classes 5 to 9, {len(trained)} tasks, with 95% intervals")
    print(f"{'':<24}{'before adaptation':>20}{f'after {INNER_STEPS} steps':>20}")
    for name, rows in (("meta-trained net", trained), ("the same net, untrained", untrained)):
        mean, half = mean_and_interval(rows)
        cells = [f"{100 * mean[k]:.1f} ± {100 * half[k]:.1f} %" for k in (0, INNER_STEPS)]
        print(f"{name:<24}{cells[0]:>20}{cells[1]:>20}")


def draw(history: list[float], trained: Tensor, untrained: Tensor, out: Path) -> None:
    """Write the figure: the course of meta-training, and adaptation on unseen classes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    window = max(1, len(history) // 20)
    smooth = torch.tensor(history).unfold(0, window, 1).mean(dim=1)
    left.plot(range(1, len(history) + 1), history, color="tab:blue", alpha=0.2, linewidth=0.8)
    left.plot(
        range(window, len(history) + 1),
        smooth.tolist(),
        color="tab:blue",
        label=f"mean of the last {window}",
    )
    left.set(title="Meta-training (classes 0 to 4)", xlabel="iteration")
    left.set_ylabel(f"accuracy after {INNER_STEPS} steps")

    steps = range(TEST_STEPS + 1)
    for name, rows, colour in (
        ("meta-trained", trained, "tab:blue"),
        ("untrained", untrained, "tab:orange"),
    ):
        mean, half = mean_and_interval(rows)
        right.plot(steps, mean.tolist(), "o-", markersize=4, color=colour, label=name)
        right.fill_between(
            steps, (mean - half).tolist(), (mean + half).tolist(), color=colour, alpha=0.25
        )
    right.axvline(INNER_STEPS, color="grey", linestyle=":", label="steps in meta-training")
    right.set(title=f"Unseen classes 5 to 9 ({len(trained)} tasks, 95% intervals)")
    right.set(xlabel="adaptation steps", ylabel="accuracy")

    for axes in (left, right):
        axes.axhline(
            1 / CLASSES_A_TASK, color="grey", linewidth=0.8, linestyle="--", label="chance"
        )
        axes.set_ylim(0.25, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)


def main(
    seed: Annotated[int, typer.Option(help="Of the first weights and of the tasks.")] = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Of meta-training.")] = 400,
    test_tasks: Annotated[int, typer.Option(min=2, help="Of unseen classes.")] = TEST_TASKS,
    out: Annotated[Path, typer.Option(help="The figure.")] = Path("out/quickstart.png"),
) -> None:
    """Meta-train on the digits 0 to 4, then adapt to 5 to 9."""
    torch.set_num_threads(1)  # the net is so small that sharing its work would cost more
    torch.manual_seed(seed)
    digits = Digits()
    net = make_net()
    untrained_net = copy.deepcopy(net)
    history = meta_train(net, digits, iterations, seed)
    trained = meta_test(net, digits, test_tasks)
    untrained = meta_test(untrained_net, digits, test_tasks)
    report(trained, untrained)
    draw(history, trained, untrained, out)
    print(f"figure: {out}")


if __name__ == "__main__":
    typer.run(main)

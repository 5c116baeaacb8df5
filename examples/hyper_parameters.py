"""Tune a learning rate and a weight decay by gradient descent, through a whole training run.

A small net learns handwritten digits in sixty steps of SGD with momentum. How good it is
afterwards, on images that it was not trained on, depends on the learning rate and the weight
decay; `metann.optim` gives steps that can be differentiated by both, so that the validation loss
has a gradient with regard to them. The program goes down that gradient from four places, and
tries a whole grid of values with torch's own optimiser, to show where the paths should have led.
For two values a grid would do. But a gradient costs the same for any number of them: in the last
search every weight and bias of the net has a learning rate and a weight decay of its own.

The problem was chosen, from about ten, to have its least loss inside of the map. Where training all
but diverges a gradient says nothing: from a start there, in a trial, the path was lost.

    python examples/hyper_parameters.py --seed 0 --splits 5 --steps 40
"""

# scikit-learn has no types, and matplotlib's leave **kwargs open:
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from metann import MAML, optim

TRAINING_IMAGES = 150
VALIDATION_IMAGES = 400

INNER_STEPS = 60
MOMENTUM = 0.9
OUTER_STEP_SIZE = 0.15  # of the logarithms

# Learning rate and weight decay. All splits begin at the first; the others are for the picture.
STARTS = ((0.1, 1e-2), (0.04, 1e-3), (0.02, 1e-1), (0.2, 5e-2))
LEARNING_RATES = (0.005, 3.0)  # the grid, from and to
WEIGHT_DECAYS = (3e-5, 0.3)

# Of Student's distribution, for the 95% interval of a mean over 2, 3, ... 10 splits.
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


class Images(NamedTuple):
    """Handwritten digits of 8 x 8 pixels, shape (n, 64), and which they are."""

    pixels: Tensor
    labels: Tensor


class Problem(NamedTuple):
    """A net as it is before training, and the images of a split."""

    net: nn.Sequential
    training: Images
    validation: Images
    test: Images


@dataclass(frozen=True)
class Search:
    """Where a search has been.

    Attributes:
        values: learning rates and weight decays, shape (steps, 2, values of each).
        losses: on the validation images after training with these, shape (steps,).
    """

    values: Tensor
    losses: Tensor

    @property
    def best(self) -> tuple[Tensor, Tensor]:
        """The learning rates and the weight decays of the lowest loss."""
        lr, decay = self.values[self.losses.argmin()]
        return lr, decay


def make_problem(seed: int) -> Problem:
    """scikit-learn's digits, split by chance, and a net with random weights."""
    pixels, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    x = torch.as_tensor(pixels, dtype=torch.float32)[order] / 16
    y = torch.as_tensor(labels)[order]
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    end = TRAINING_IMAGES + VALIDATION_IMAGES
    cuts = slice(TRAINING_IMAGES), slice(TRAINING_IMAGES, end), slice(end, None)
    return Problem(net, *(Images(x[cut], y[cut]) for cut in cuts))


def loss_of(model: nn.Module, images: Images) -> Tensor:
    """The mean cross entropy."""
    return F.cross_entropy(model(images.pixels), images.labels)


def trained(
    problem: Problem, lr: optim.Hyper, decay: optim.Hyper, *, checkpoint: bool
) -> nn.Module:
    """The net after training: its weights are functions of the learning rate and the weight decay.

    The inner loop is MAML's, of one task. With `checkpoint` each step is computed again in the
    backward pass: a run keeps its weights and momenta, not the graphs of its steps.
    """
    sgd = optim.SGD(lr, momentum=MOMENTUM, weight_decay=decay)
    loop = MAML(
        problem.net, INNER_STEPS, INNER_STEPS, None, loss_of, optimizer=sgd, checkpoint=checkpoint
    )
    return loop.adapt(problem.training).model


def search(
    problem: Problem,
    start: tuple[float, float],
    steps: int,
    *,
    values: int = 1,
    checkpoint: bool = False,
) -> Search:
    """Go down the gradient of the validation loss by the logarithms of the hyper-parameters.

    With `values` = 1 there is one learning rate and one weight decay for the whole net; otherwise
    there must be one of each for every parameter of it.
    """
    logs = torch.tensor(start).log()[:, None].repeat(1, values).requires_grad_()
    optimizer = torch.optim.Adam([logs], lr=OUTER_STEP_SIZE, betas=(0.8, 0.99))
    visited: list[Tensor] = []
    losses: list[Tensor] = []
    for _ in range(steps):
        lr, decay = logs.exp()
        one = values == 1
        hypers = (lr[0], decay[0]) if one else ([*lr], [*decay])
        net = trained(problem, *hypers, checkpoint=checkpoint)
        loss = loss_of(net, problem.validation)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # through all steps of the training
        visited.append(logs.detach().exp())
        losses.append(loss.detach())
        optimizer.step()
    return Search(torch.stack(visited), torch.stack(losses))


def trained_by_torch(problem: Problem, lr: float, decay: float) -> nn.Module:
    """The same training by torch alone, for given values."""
    net = copy.deepcopy(problem.net)
    sgd = torch.optim.SGD(net.parameters(), lr, momentum=MOMENTUM, weight_decay=decay)
    for _ in range(INNER_STEPS):
        sgd.zero_grad()
        loss_of(net, problem.training).backward()  # type: ignore[no-untyped-call]
        sgd.step()
    return net


def log_range(span: tuple[float, float], count: int) -> list[float]:
    """So many values from the first to the last, each the same multiple of the one before."""
    low, high = torch.tensor(span).log10().tolist()
    values: list[float] = torch.logspace(low, high, count).tolist()
    return values


def brute_force(problem: Problem, side: int) -> Tensor:
    """The validation losses on a grid: a row for each weight decay, a column a learning rate."""
    rows = [
        [
            loss_of(trained_by_torch(problem, lr, decay), problem.validation).detach()
            for lr in log_range(LEARNING_RATES, side)
        ]
        for decay in log_range(WEIGHT_DECAYS, side)
    ]
    return torch.stack([torch.stack(row) for row in rows])


def scores(problem: Problem, net: nn.Module) -> Tensor:
    """The losses on the validation and the test images, and the accuracy on the latter in %."""
    with torch.no_grad():
        right = (net(problem.test.pixels).argmax(dim=1) == problem.test.labels).float()
        losses = [loss_of(net, images) for images in (problem.validation, problem.test)]
    return torch.stack([*losses, 100 * right.mean()])


def scores_of(problem: Problem, found: Search) -> Tensor:
    """The scores of training with the best values that a search has found."""
    lr, decay = found.best
    hypers = (lr[0], decay[0]) if len(lr) == 1 else ([*lr], [*decay])
    with torch.no_grad():
        return scores(problem, trained(problem, *hypers, checkpoint=False))


@dataclass(frozen=True)
class Found:
    """What was found on one split."""

    paths: list[Search]
    each: Search
    grid: Tensor
    rows: dict[str, Tensor]


def explore(problem: Problem, starts: int, steps: int, side: int, *, checkpoint: bool) -> Found:
    """Search from so many starts, for all parameters and for each, and try a grid."""
    paths = [search(problem, start, steps, checkpoint=checkpoint) for start in STARTS[:starts]]
    count = len(list(problem.net.parameters()))
    each = search(problem, STARTS[0], steps, values=count, checkpoint=checkpoint)
    grid = brute_force(problem, side)
    row, column = divmod(int(grid.argmin()), side)
    lr = log_range(LEARNING_RATES, side)[column]
    decay = log_range(WEIGHT_DECAYS, side)[row]
    rows = {
        "where the search starts": scores(problem, trained_by_torch(problem, *STARTS[0])),
        f"two values, best of a grid of {side**2}": scores(
            problem, trained_by_torch(problem, lr, decay)
        ),
        f"two values, {steps} gradients": scores_of(problem, paths[0]),
        f"{2 * count} values, {steps} gradients": scores_of(problem, each),
    }
    return Found(paths, each, grid, rows)


def report(found: list[Found]) -> None:
    """Print losses and accuracies, with intervals over the splits."""
    print(f"\nmeans over {len(found)} splits, with 95% intervals")
    print(f"{'':<34}{'validation loss':>17}{'test loss':>17}{'test accuracy':>17}")
    for name in found[0].rows:
        rows = torch.stack([split.rows[name] for split in found])
        half = STUDENT[len(rows) - 2] * rows.std(dim=0) / len(rows) ** 0.5
        pairs = list(zip(rows.mean(dim=0).tolist(), half.tolist(), strict=True))
        cells = [f"{mean:.3f} ± {width:.3f}" for mean, width in pairs[:2]]
        cells.append(f"{pairs[2][0]:.1f} ± {pairs[2][1]:.1f} %")
        print(f"{name:<34}" + "".join(f"{cell:>17}" for cell in cells))
    first = found[0]
    ends = ", ".join(f"{path.losses.min():.3f}" for path in first.paths)
    print(f"\nfirst split: paths down to {ends}; least on the grid {first.grid.min():.3f}")


def draw_map(axes: Axes, found: Found) -> None:
    """The losses on the grid, and the paths over it."""
    side = len(found.grid)
    lrs, decays = log_range(LEARNING_RATES, side), log_range(WEIGHT_DECAYS, side)
    shown = found.grid.clamp(max=2.4)
    levels = log_range((0.99 * shown.min().item(), 2.401), 18)
    filled = axes.contourf(lrs, decays, shown.tolist(), levels, cmap="viridis_r", norm="log")
    axes.figure.colorbar(filled, ax=axes, ticks=[0.3, 0.5, 1, 2], format="%.1f")
    for path in found.paths:
        lr, decay = path.values[:, 0, 0].tolist(), path.values[:, 1, 0].tolist()
        axes.plot(lr, decay, ".-", color="white", linewidth=1, markersize=4)
        axes.plot(lr[0], decay[0], "o", color="white", markeredgecolor="black")
        axes.plot(*(float(v[0]) for v in path.best), "*", color="tab:red", markersize=11)
    row, column = divmod(int(found.grid.argmin()), side)
    axes.plot(lrs[column], decays[row], "P", color="black", label="least on the grid")
    axes.plot([], [], "o", color="white", markeredgecolor="black", label="start of a path")
    axes.plot([], [], "*", color="tab:red", markersize=11, linestyle="", label="its lowest loss")
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="weight decay")
    axes.set(xlim=LEARNING_RATES, ylim=WEIGHT_DECAYS, title="Validation loss, by brute force")
    axes.legend(loc="lower left", fontsize="small")


def draw_losses(axes: Axes, found: Found) -> None:
    """The validation losses in the course of the searches."""
    for number, path in enumerate(found.paths):
        label = "two values, four starts" if number == 0 else None
        axes.plot(path.losses.tolist(), color="tab:blue", alpha=0.7, label=label)
    count = 2 * found.each.values.shape[-1]
    axes.plot(found.each.losses.tolist(), color="tab:red", label=f"{count} values, first start")
    axes.axhline(found.grid.min().item(), color="black", linestyle=":", label="least on the grid")
    axes.set(title="Search by gradients", xlabel="gradients taken", ylabel="validation loss")
    axes.set_yscale("log")
    axes.set_yticks([0.3, 0.5, 1, 2], ["0.3", "0.5", "1", "2"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()


def draw(found: Found, out: Path) -> None:
    """Write the figure, of one split."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_map(left, found)
    draw_losses(right, found)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)


def main(
    seed: Annotated[int, typer.Option(help="Of the first split and its net.")] = 0,
    splits: Annotated[int, typer.Option(min=2, max=10, help="How many of them.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Gradients of a search.")] = 40,
    side: Annotated[int, typer.Option(min=2, help="Of the grid.")] = 13,
    checkpoint: Annotated[bool, typer.Option(help="Less memory, more time.")] = False,
    out: Annotated[Path, typer.Option(help="The figure.")] = Path("out/hyper_parameters.png"),
) -> None:
    """Tune a learning rate and a weight decay by gradients, and by a grid for comparison."""
    torch.set_num_threads(1)  # the net is so small that sharing its work would cost more
    found: list[Found] = []
    for number in tqdm(range(seed, seed + splits), desc="splits", unit="split"):
        starts = len(STARTS) if number == seed else 1
        problem = make_problem(number)
        found.append(explore(problem, starts, steps, side, checkpoint=checkpoint))
    report(found)
    draw(found[0], out)
    print(f"figure: {out}")


if __name__ == "__main__":
    typer.run(main)

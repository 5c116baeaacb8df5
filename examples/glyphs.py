"""Tell five characters apart that were never seen before, from one drawing of each.

A small convolutional net with batch normalisation is meta-trained by MAML on tasks of five
characters; then it meets characters that were kept apart. The characters are an invented alphabet,
drawn stroke by stroke. Or they are real ones, from the package kanjivg (by Ulrich Apel, licence
CC BY-SA 3.0, https://kanjivg.tagaini.net), if you have installed it: `pip install kanjivg`.

What is it worth? For comparison the untrained net takes the same steps, and drawings get the label
of the most similar one: by their pixels, and by what the same net sees in them after it was
trained plainly, to tell all the known characters apart. The last is hard to beat where the new
classes are like the known ones (arXiv 2003.11539), and here, too, MAML does not.

    python examples/glyphs.py --seed 0 --iterations 700 --out out/glyphs.png
    python examples/glyphs.py --characters kanji --out out/kanji.png
"""

# matplotlib's types leave **kwargs open:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from enum import Enum
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from metann import MAML
from metann.tasks import Episodes, Examples, FewShot, Glyphs, Hand, split_classes
from metann.tasks.strokes import draw_points, trace

CLASSES = 1000  # characters; the tests are on a fifth of them
DRAWINGS = 20  # of each, each by another hand

WAYS = 5
SHOTS = 1
QUERIES = 5  # drawings of each character to measure on
TASKS_AN_ITERATION = 8
STEP_SIZE = 0.4  # of the inner step, as in the MAML paper for Omniglot
OUTER_STEP_SIZE = 3e-3

TEST_TASKS = 300
TEST_STEPS = 5  # meta-training takes one
SHOWN_STEPS = (0, 1, 5)


class Characters(str, Enum):
    """Which characters to tell apart."""

    glyphs = "glyphs"
    kanji = "kanji"


def kanji_files() -> list[Path]:
    """The drawings of Chinese characters that the package kanjivg installs, without variants."""
    try:
        folder = Path(str(distribution("kanjivg").locate_file("kanji")))
    except PackageNotFoundError:
        raise typer.BadParameter(
            "kanji are drawn from the package kanjivg, which is not installed. Install it by "
            "`pip install kanjivg` (22 MB, licence CC BY-SA 3.0), or take --characters glyphs."
        ) from None
    cjk = (f"{code:05x}.svg" for code in range(0x4E00, 0xA000))
    return [folder / name for name in cjk if (folder / name).exists()]


def bezier_curves(path: str) -> list[list[complex]]:
    """The cubic curves of an SVG path, each of four points x + iy.

    Example: "M1,2c1,0,2,1,2,2" -> [[1+2j, 2+2j, 3+3j, 3+4j]]
    """
    curves: list[list[complex]] = []
    pen = 0j
    for command, text in re.findall(r"([MCS])([^MCS]*)", path, re.IGNORECASE):
        numbers = [float(number) for number in re.findall(r"-?(?:\d*\.)?\d+", text)]
        points = [complex(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        size = {"M": 1, "C": 3, "S": 2}[command.upper()]
        for first in range(0, len(points), size):
            origin = pen if command.islower() else 0
            moved = [origin + point for point in points[first : first + size]]
            if size == 2:  # the curve goes on smoothly: its first control point is a mirror image
                moved.insert(0, 2 * pen - curves[-1][2])
            if size > 1:
                curves.append([pen, *moved])
            pen = moved[-1]
    return curves


def read_kanji(file: Path) -> Tensor:
    """The curves that a character is made of: (n, 4, 2), in a box from -0.75 to 0.75."""
    paths: list[str] = re.findall(r'<path [^>]*\bd="([^"]+)"', file.read_text(encoding="utf-8"))
    points = torch.tensor([curve for path in paths for curve in bezier_curves(path)])
    return (torch.view_as_real(points) / 109 * 2 - 1) * 0.75


def draw_kanji(classes: int, seed: int, dice: torch.Generator) -> TensorDataset:
    """So many characters, chosen at random, each drawn by some hands."""
    files, *_ = split_classes(kanji_files(), classes, seed=seed)
    hand = Hand(jitter=0.01, rotation=0.2, shear=0.15, shift=0.15, width=(1.2, 1.8))
    t = torch.linspace(0, 1, 13).unsqueeze(1)
    bernstein = torch.cat([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3], dim=1)
    images: list[Tensor] = []
    for file in tqdm(files, desc="drawing", unit="kanji"):
        controls = read_kanji(file).expand(DRAWINGS, -1, -1, -1)
        points, lengths = trace(hand.move(controls, dice), bernstein)
        thin, thick = hand.width
        width = thin + (thick - thin) * torch.rand(DRAWINGS, generator=dice)
        images.append(draw_points(points.flatten(1, 2), lengths.flatten(1, 2), width, 28))
    labels = torch.arange(classes).repeat_interleave(DRAWINGS)
    return TensorDataset(torch.cat(images), labels)


def draw_characters(characters: Characters, classes: int, seed: int) -> TensorDataset:
    """Drawings of so many characters, (classes * DRAWINGS, 1, 28, 28), and their numbers."""
    dice = torch.Generator().manual_seed(seed)
    if characters is Characters.kanji:
        return draw_kanji(classes, seed, dice)
    return Glyphs(classes, seed=seed).dataset(DRAWINGS, generator=dice)


def make_body() -> nn.Sequential:
    """Four convolutions with batch normalisation: from a drawing to 128 features."""
    layers: list[nn.Module] = []
    for channels in (1, 32, 32, 32):
        layers += [
            nn.Conv2d(channels, 32, kernel_size=3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Flatten())


def make_net(outputs: int) -> nn.Sequential:
    """A body and a linear head."""
    return nn.Sequential(make_body(), nn.Linear(128, outputs))


def cross_entropy(model: nn.Module, drawings: Examples) -> Tensor:
    """The loss of a model on labelled drawings."""
    return F.cross_entropy(model(drawings.inputs), drawings.targets)


def make_maml(net: nn.Module) -> MAML[Examples]:
    """One step in training, more in tests."""
    return MAML(net, 1, TEST_STEPS, STEP_SIZE, cross_entropy)


def tasks_of(data: TensorDataset, classes: list[int], tasks: int, seed: int) -> FewShot:
    """Tasks of five characters, one drawing of each to learn from."""
    return FewShot(data, WAYS, SHOTS, QUERIES, tasks=tasks, seed=seed, classes=classes)


def meta_train(maml: MAML[Examples], tasks: FewShot) -> list[float]:
    """Change the net's parameters so that one step on five drawings works well.

    Returns the loss on other drawings, after that step, in each iteration.
    """
    loader: DataLoader[Episodes] = DataLoader(tasks, batch_size=TASKS_AN_ITERATION)
    optimizer = torch.optim.Adam(maml.parameters(), lr=OUTER_STEP_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader))
    history: list[float] = []
    bar = tqdm(loader, desc="meta-training", unit="it")
    for support, query in bar:
        optimizer.zero_grad()
        loss = maml.task_losses(support, query).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # through the inner step, into the net
        optimizer.step()
        schedule.step()
        history.append(loss.item())
        bar.set_postfix_str(f"loss {sum(history[-50:]) / len(history[-50:]):.3f}")
    return history


def plain_train(net: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train a net to tell all known characters apart, as one does with many drawings of each."""
    optimizer = torch.optim.Adam(net.parameters(), lr=OUTER_STEP_SIZE)
    batches = len(images) // 100
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for _ in tqdm(range(epochs), desc="plain training", unit="epoch"):
        for batch in torch.split(torch.randperm(len(images)), 100):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images[batch]), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


def hits(scores: Tensor, labels: Tensor) -> float:
    """The share of drawings whose highest score is that of their label."""
    return (scores.argmax(dim=-1) == labels).float().mean().item()


@torch.no_grad()
def adapted(net: nn.Module, tasks: FewShot, name: str) -> Tensor:
    """The accuracy on each task, one row each, a column for each number of steps."""
    maml = make_maml(net).eval()
    # Drawings are normalised by the mean and variance of those that come together, in the support
    # or in the query set: as in training, and as in most results that are published.
    maml.model.train()
    rows: list[list[float]] = []
    for support, query in tqdm(tasks_in(tasks), desc=name, unit="task", total=len(tasks)):
        row: list[float] = []
        after = maml.adapt(support, 0)
        for step in range(TEST_STEPS + 1):
            after = maml.adapt(support, 1, start=after) if step else after
            row.append(hits(after.model(query.inputs), query.targets))
        rows.append(row)
    return torch.tensor(rows)


@torch.no_grad()
def nearest(features: nn.Module, tasks: FewShot) -> Tensor:
    """The accuracy on each task if a drawing gets the label of the most similar one."""
    found: list[float] = []
    for support, query in tasks_in(tasks):
        known, new = (F.normalize(features(part.inputs)) for part in (support, query))
        found.append(hits(new @ known.T, query.targets))  # one drawing of each: in order of labels
    return torch.tensor(found)


def tasks_in(tasks: FewShot) -> Iterator[Episodes]:
    """The tasks, one after another."""
    return (tasks[index] for index in range(len(tasks)))


def mean_and_interval(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over tasks, and half the width of its 95% interval."""
    return rows.mean(dim=0), 1.96 * rows.std(dim=0) / len(rows) ** 0.5


def report(characters: str, found: dict[str, Tensor]) -> None:
    """Print the accuracy of each way, before adaptation and after."""
    tasks = len(next(iter(found.values())))
    print(f"\naccuracy on {characters}, {WAYS} at a time, one drawing of each given,")
    print(f"{tasks} tasks, with 95% intervals")
    print(f"{'gradient steps':<32}" + "".join(f"{steps:>16}" for steps in SHOWN_STEPS))
    for name, rows in found.items():
        mean, half = mean_and_interval(rows.view(tasks, -1))
        shown = SHOWN_STEPS if len(mean) > 1 else (0,)
        cells = [f"{100 * mean[k]:.1f} ± {100 * half[k]:.1f} %" for k in shown]
        print(f"{name:<32}" + "".join(f"{cell:>16}" for cell in cells))


def draw_training(axes: Axes, history: list[float], known: int) -> None:
    """The loss after the inner step, over meta-training."""
    window = max(1, len(history) // 20)
    smooth = torch.tensor(history).unfold(0, window, 1).mean(dim=1)
    axes.plot(range(window, len(history) + 1), smooth, color="tab:blue")
    axes.set(title=f"Meta-training ({known} characters)", xlabel="iteration", ylim=(0, None))
    axes.set_ylabel(f"loss after 1 step, mean of the last {window}")


def draw_accuracies(axes: Axes, found: dict[str, Tensor], characters: str) -> None:
    """Accuracy by the number of steps; a level line for what takes none."""
    steps = range(TEST_STEPS + 1)
    colours = ("tab:blue", "tab:orange", "tab:green", "tab:grey")
    for (name, rows), colour in zip(found.items(), colours, strict=True):
        mean, half = mean_and_interval(rows.view(len(rows), -1).expand(-1, len(steps)))
        style = "o-" if rows.dim() > 1 else "--"
        axes.plot(steps, mean, style, markersize=4, color=colour, label=name)
        axes.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.25)
    axes.axhline(1 / WAYS, color="black", linewidth=0.8, linestyle=":", label="chance")
    axes.set(title=f"{characters.capitalize()}, 95% intervals", ylim=(0, 1.02))
    axes.set(xlabel="gradient steps on one drawing of each", ylabel="accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def draw_task(figure: SubFigure, episodes: Episodes) -> None:
    """The drawings of one task: a row for each character, the one to learn from on the left."""
    (given, _), (asked, _) = episodes
    rows = torch.cat([given.view(WAYS, 1, 28, 28), asked.view(WAYS, QUERIES, 28, 28)], dim=1)
    for panels, drawings in zip(figure.subplots(WAYS, 1 + QUERIES), rows, strict=True):
        for column, (axes, drawing) in enumerate(zip(panels, drawings, strict=True)):
            axes.imshow(drawing.numpy(), cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            if column == 0:
                axes.spines[:].set(color="tab:blue", linewidth=2.5)
    figure.suptitle("A task: given (framed), and asked")


def main(
    characters: Annotated[Characters, typer.Option(help="Kanji need a package.")] = (
        Characters.glyphs
    ),
    seed: Annotated[int, typer.Option(help="Of drawings, first weights and tasks.")] = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Of meta-training.")] = 700,
    epochs: Annotated[int, typer.Option(min=1, help="Of plain training.")] = 5,
    classes: Annotated[int, typer.Option(min=25, help="Characters.")] = CLASSES,
    test_tasks: Annotated[int, typer.Option(min=2, help="Of unseen characters.")] = TEST_TASKS,
    out: Annotated[Path | None, typer.Option(help="The figure; out/CHARACTERS.png.")] = None,
) -> None:
    """Meta-train on some characters, then tell others apart, from one drawing of each."""
    torch.set_num_threads(1)  # the net is so small that sharing its work would cost more
    torch.manual_seed(seed)
    data = draw_characters(characters, classes, seed)
    known, new = split_classes(range(classes), classes - classes // 5, classes // 5, seed=seed)
    meta_net = make_net(WAYS)
    untrained_net, plain_net = copy.deepcopy(meta_net), make_net(len(known))

    tasks = tasks_of(data, known, iterations * TASKS_AN_ITERATION, seed)
    history = meta_train(make_maml(meta_net), tasks)
    images = data.tensors[0].view(classes, DRAWINGS, 1, 28, 28)[known].flatten(0, 1)
    plain_train(plain_net, images, torch.arange(len(known)).repeat_interleave(DRAWINGS), epochs)

    tests = tasks_of(data, new, test_tasks, seed)
    found = {
        "meta-trained net": adapted(meta_net, tests, "test"),
        "the same net, untrained": adapted(untrained_net, tests, "test, untrained"),
        "nearest, plainly trained net": nearest(plain_net[0].eval(), tests),
        "nearest, pixels": nearest(nn.Flatten(), tests),
    }
    unseen = f"{len(new)} unseen {characters.value}"
    report(unseen, found)

    figure = Figure(figsize=(12, 4), layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, width_ratios=[2, 1], squeeze=False)
    loss_axes, accuracy_axes = left.subplots(1, 2)
    draw_training(loss_axes, history, len(known))
    draw_accuracies(accuracy_axes, found, unseen)
    for axes in (loss_axes, accuracy_axes):
        axes.grid(alpha=0.3)
    accuracy_axes.legend(loc="lower right", fontsize="small")
    draw_task(right, tests[0])
    out = out or Path(f"out/{characters.value}.png")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    print(f"figure: {out}")


if __name__ == "__main__":
    typer.run(main)

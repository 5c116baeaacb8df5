"""Meta-train a stock `nn.TransformerEncoder` to second order, to read ciphers from a few examples.

A task is a cipher: it gives each of eight letters one of two classes, by chance. A sequence holds
a marker somewhere, and its label is the class of the letter behind the marker. Where to look is
the same in all tasks and is meta-learned; what the letters mean is new in each task, and three
gradient steps on sixteen labelled sequences must be enough to learn it. The step size of these is
meta-learned, too. The program does so twice: with the gradient through the steps (second order),
and with the gradients in the steps taken for constants (first order, FOMAML).

Without dropout torch takes its fast attention, and that has no second derivative. So torch itself,
torch.func, higher, TorchOpt and learn2learn raise an error at second order here, unless they are
told to take the slow form (`torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`): the program first
shows what torch says. metann gives torch the missing derivative when it converts its first module.

    python examples/transformer.py --seed 0 --seeds 3 --iterations 300 --out out/transformer.png
"""

# matplotlib's types leave **kwargs open:
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from metann import MAML
from metann.tasks import Episodes, Examples

LETTERS = 8
MARKER = LETTERS  # one more token
CLASSES = 2
LENGTH = 6
ASKED_EACH = 2  # sequences in which a letter is asked for, to adapt on and as many to measure on

WIDTH = 32
INNER_STEPS = 3
FIRST_STEP_SIZE = 0.1  # it is learned
TASKS_AN_ITERATION = 8
OUTER_STEP_SIZE = 3e-3
STEPS_SHOWN = 6

COLOURS = {"second order": "tab:blue", "first order": "tab:orange", "untrained": "tab:grey"}


class Reader(nn.Module):
    """Letters and their places, torch's encoder, and the mean over the sequence: 9,090 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.letters = nn.Embedding(LETTERS + 1, WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, nhead=2, dim_feedforward=2 * WIDTH, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=1, enable_nested_tensor=False)
        self.classes = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the classes, shape (n, CLASSES), of sequences of shape (n, LENGTH)."""
        encoded: Tensor = self.encoder(self.letters(tokens) + self.places)
        scores: Tensor = self.classes(encoded.mean(dim=1))
        return scores


def draw_tasks(tasks: int, dice: torch.Generator) -> Episodes:
    """Ciphers, with sequences to learn each from and others to measure on."""
    # Half of the letters have each class: who knows no cipher is right half of the time.
    cipher = torch.rand(tasks, LETTERS, generator=dice).argsort(dim=1) % CLASSES

    def examples() -> Examples:
        asked = torch.arange(LETTERS).repeat(ASKED_EACH).expand(tasks, -1)
        tokens = torch.randint(LETTERS, (*asked.shape, LENGTH), generator=dice)
        place = torch.randint(LENGTH - 1, (*asked.shape, 1), generator=dice)
        tokens = tokens.scatter(2, place, MARKER).scatter(2, place + 1, asked[..., None])
        return Examples(tokens, cipher.gather(1, asked))

    return Episodes(examples(), examples())


def evaluator(model: nn.Module, examples: Examples) -> Tensor:
    """The cross entropy of a model on labelled sequences."""
    return F.cross_entropy(model(examples.inputs), examples.targets)


def what_torch_says(net: nn.Module, tokens: Tensor) -> str:
    """Differentiate a gradient with torch as it is: metann has converted nothing yet."""
    params = list(net.parameters())
    gradients = torch.autograd.grad(net(tokens).square().mean(), params, create_graph=True)
    try:
        torch.autograd.grad(torch.stack([g.square().sum() for g in gradients]).sum(), params)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return "no error: the second derivative is there"


def make_maml(net: Reader, *, first_order: bool) -> MAML[Examples]:
    """Three steps of gradient descent, of a learned size."""
    step_size = nn.Parameter(torch.tensor(FIRST_STEP_SIZE))
    return MAML(net, INNER_STEPS, INNER_STEPS, step_size, evaluator, first_order=first_order)


def meta_train(maml: MAML[Examples], iterations: int, seed: int, label: str) -> list[float]:
    """Change the net, and the step size, so that three steps work well; returns the losses."""
    optimizer = torch.optim.Adam(maml.parameters(), lr=OUTER_STEP_SIZE)
    dice = torch.Generator().manual_seed(seed)
    history: list[float] = []
    bar = tqdm(range(iterations), desc=label, unit="it")
    for _ in bar:
        support, query = draw_tasks(TASKS_AN_ITERATION, dice)
        loss = maml.task_losses(support, query).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        optimizer.step()
        history.append(loss.item())
        bar.set_postfix_str(f"loss {sum(history[-20:]) / len(history[-20:]):.3f}")
    return history


def accuracies(maml: MAML[Examples], episodes: Episodes) -> Tensor:
    """The accuracy on each new cipher after the three steps, in %, shape (tasks,)."""
    rows: list[Tensor] = []
    for index in range(episodes.tasks):
        support, query = episodes.task(index)
        with torch.no_grad():
            scores: Tensor = maml(support)(query.inputs)
        rows.append(100 * (scores.argmax(dim=1) == query.targets).float().mean())
    return torch.stack(rows)


@dataclass(frozen=True)
class Result:
    """What came of one training: its losses, and on new ciphers the accuracies and losses."""

    history: list[float]
    accuracies: Tensor
    by_step: Tensor


def measured(maml: MAML[Examples], history: list[float], tasks: int) -> Result:
    """Adapt to new ciphers, the same for all."""
    episodes = draw_tasks(tasks, torch.Generator().manual_seed(2**31))
    with torch.no_grad():
        losses = maml.losses_by_step(*episodes, steps=STEPS_SHOWN)
    return Result(history, accuracies(maml, episodes), losses.mean(dim=0))


def run(seed: int, iterations: int, tasks: int) -> dict[str, Result]:
    """Meta-train from the same weights to second and to first order, and not at all."""
    results: dict[str, Result] = {}
    for name in COLOURS:
        torch.manual_seed(seed)
        maml = make_maml(Reader(), first_order=name == "first order")
        count = 0 if name == "untrained" else iterations
        history = meta_train(maml, count, seed, f"seed {seed}, {name}")
        results[name] = measured(maml, history, tasks)
    return results


def report(results: dict[int, dict[str, Result]], tasks: int) -> None:
    """Print the accuracies, a column for each seed, with intervals over the new ciphers."""
    print(f"\naccuracy on {tasks} new ciphers after {INNER_STEPS} steps, with 95% intervals")
    print(f"{'':<14}" + "".join(f"{f'seed {seed}':>16}" for seed in results))
    for name in COLOURS:
        rows = [found[name].accuracies for found in results.values()]
        cells = [f"{row.mean():.1f} ± {1.96 * row.std() / tasks**0.5:.1f} %" for row in rows]
        print(f"{name:<14}" + "".join(f"{cell:>16}" for cell in cells))


def draw_training(axes: Axes, results: dict[int, dict[str, Result]]) -> None:
    """The losses in meta-training, smoothed; a line for each seed."""
    for name in ("second order", "first order"):
        for number, found in enumerate(results.values()):
            history = torch.tensor(found[name].history)
            window = max(1, len(history) // 20)
            smooth = history.unfold(0, window, 1).mean(dim=1).tolist()
            iterations = range(window, len(history) + 1)
            label = name if number == 0 else None
            axes.plot(iterations, smooth, color=COLOURS[name], alpha=0.8, label=label)
    axes.set(title="Meta-training, a line for each seed", xlabel="iteration")
    axes.set(ylabel=f"loss after {INNER_STEPS} steps")


def draw_adaptation(axes: Axes, results: dict[int, dict[str, Result]]) -> None:
    """The losses on new ciphers after each inner step; a line for each seed."""
    for name, colour in COLOURS.items():
        for number, found in enumerate(results.values()):
            label = name if number == 0 else None
            losses = found[name].by_step.tolist()
            axes.plot(range(len(losses)), losses, "o-", markersize=4, color=colour, label=label)
    axes.axvline(INNER_STEPS, color="grey", linestyle=":", label="steps in meta-training")
    axes.set(title="New ciphers", xlabel="gradient steps", ylabel="loss")


def draw(results: dict[int, dict[str, Result]], out: Path) -> None:
    """Write the figure: meta-training, and adaptation to new ciphers."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_training(left, results)
    draw_adaptation(right, results)
    for axes in (left, right):
        axes.axhline(math.log(CLASSES), color="grey", linestyle="--", label="chance")
        axes.set_ylim(0, 1.1)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right", ncols=2, fontsize="small")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)


def main(
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many of them.")] = 3,
    iterations: Annotated[int, typer.Option(min=1, help="Of meta-training.")] = 300,
    test_tasks: Annotated[int, typer.Option(min=2, help="New ciphers.")] = 100,
    out: Annotated[Path, typer.Option(help="The figure.")] = Path("out/transformer.png"),
) -> None:
    """Meta-train a transformer to first and to second order, and compare."""
    torch.set_num_threads(1)  # the net is so small that sharing its work would cost more
    tokens = draw_tasks(1, torch.Generator().manual_seed(seed)).task(0).support.inputs
    print(f"torch's fast attention, at second order: {what_torch_says(Reader(), tokens)}")
    results = {number: run(number, iterations, test_tasks) for number in range(seed, seed + seeds)}
    report(results, test_tasks)
    draw(results, out)
    print(f"figure: {out}")


if __name__ == "__main__":
    typer.run(main)

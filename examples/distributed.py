"""MAML over several processes, or machines, by torch's own DistributedDataParallel.

Each process adapts to its share of the tasks, and the meta-gradients are averaged. How many
processes there are changes how long it takes, not what comes out.

    torchrun --nproc-per-node 2 examples/distributed.py --iterations 2000
    python examples/distributed.py --iterations 2000
"""

# torch's types leave some arguments open:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.distributed import (
    destroy_process_group,
    get_rank,
    get_world_size,
    init_process_group,
    is_initialized,
)
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from metann import MAML
from metann.meta import TaskLosses
from metann.tasks import Episodes, Examples, Sinusoids

TASKS_AN_ITERATION = 24  # of all processes together
POINTS = 10  # of each curve to adapt on, and as many to measure on
TEST_TASKS = 200
TEST_STEPS = 10


def evaluator(model: nn.Module, points: Examples) -> Tensor:
    """The mean squared error of a model on points of a curve."""
    return F.mse_loss(model(points.inputs), points.targets)


def make_maml(seed: int) -> MAML[Examples]:
    """The MAML paper's net for sinusoids; its step size of 0.01 is learned here."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    step_size = nn.Parameter(torch.tensor(0.01))
    return MAML(net, steps_train=1, steps_eval=TEST_STEPS, lr=step_size, evaluator=evaluator)


def share_of(episodes: Episodes, rank: int, processes: int) -> Episodes:
    """Every process draws the same tasks and takes some of them."""
    return Episodes(*(Examples(*(tensor[rank::processes] for tensor in part)) for part in episodes))


def meta_train(maml: MAML[Examples], iterations: int, seed: int, rank: int, processes: int) -> None:
    """Change the net's parameters, and the step size, so that one step works well."""
    objective: nn.Module = TaskLosses(maml)
    if processes > 1:
        objective = DistributedDataParallel(objective)
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-3)
    dice = torch.Generator().manual_seed(seed)
    bar = tqdm(range(iterations), desc="meta-training", unit="it", disable=rank > 0)
    for _ in bar:
        optimizer.zero_grad()
        episodes = Sinusoids().draw(TASKS_AN_ITERATION, POINTS, generator=dice)
        losses: Tensor = objective(*share_of(episodes, rank, processes))
        losses.mean().backward()  # type: ignore[no-untyped-call]  # DDP averages the gradients
        optimizer.step()


def report(maml: MAML[Examples]) -> None:
    """Print how well the net fits new curves, before and after adaptation."""
    dice = torch.Generator().manual_seed(2**31)
    episodes = Sinusoids().draw(TEST_TASKS, POINTS, generator=dice)
    with torch.no_grad():
        losses = maml.eval().losses_by_step(*episodes)
    mean, half = losses.mean(dim=0), 1.96 * losses.std(dim=0) / TEST_TASKS**0.5
    print(f"\nmean squared error on {TEST_TASKS} new curves, with 95% intervals")
    for steps in (0, 1, TEST_STEPS):
        print(f"after {steps:>2} steps  {mean[steps]:.3f} ± {half[steps]:.3f}")
    print(f"learned step size  {maml.hyper_parameters['lr'].item():.4f}")


def main(
    seed: Annotated[int, typer.Option(help="Of the first weights and of the tasks.")] = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Of meta-training.")] = 2000,
) -> None:
    """Meta-train on sine curves in as many processes as torchrun has started."""
    torch.set_num_threads(1)  # the net is so small that sharing its work would cost more
    rank, processes = 0, 1
    if "RANK" in os.environ:  # set by torchrun
        init_process_group("gloo")  # "nccl" for one GPU a process
        rank, processes = get_rank(), get_world_size()
    if TASKS_AN_ITERATION % processes:  # The mean of means is the mean of all if shares are equal.
        raise typer.BadParameter(f"{TASKS_AN_ITERATION} tasks cannot be shared by {processes}.")
    maml = make_maml(seed)
    meta_train(maml, iterations, seed, rank, processes)
    if rank == 0:
        report(maml)
    if is_initialized():
        destroy_process_group()


if __name__ == "__main__":
    typer.run(main)

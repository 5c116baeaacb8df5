"""Run by torchrun: the meta-gradients that each process has after one backward pass.

    torchrun --nproc-per-node 2 meta_gradients_of_a_rank.py FOLDER

Each process takes its share of the tasks in FOLDER/tasks.pt and writes FOLDER/rank<n>.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from distributed_nets import maml_of
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from metann.meta import TaskLosses


def main(folder: Path) -> None:
    distributed.init_process_group("gloo")
    every: dict[str, dict[str, Any]] = torch.load(folder / "tasks.pt")
    found = {kind: two_meta_steps(kind, given) for kind, given in every.items()}
    torch.save(found, folder / f"rank{distributed.get_rank()}.pt")
    distributed.destroy_process_group()


def two_meta_steps(kind: str, given: dict[str, Any]) -> list[dict[str, torch.Tensor]]:
    """The meta-gradients of this process's share of the tasks, by name."""
    rank, size = distributed.get_rank(), distributed.get_world_size()
    # Others than rank 0 start from weights of their own, which DDP must replace.
    maml = maml_of(kind, seed=rank)
    if rank == 0:
        maml.load_state_dict(given["state"])
    objective = DistributedDataParallel(TaskLosses(maml))
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.1)
    gradients: list[dict[str, torch.Tensor]] = []
    for _ in range(2):
        optimizer.zero_grad()
        support, query = ([t[rank::size] for t in given[part]] for part in ("support", "query"))
        objective(support, query).mean().backward()
        gradients.append({name: p.grad.clone() for name, p in maml.named_parameters()})
        optimizer.step()
    return gradients


if __name__ == "__main__":
    main(Path(sys.argv[1]))

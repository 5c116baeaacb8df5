"""Tasks shared out over processes by torch's own DistributedDataParallel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from distributed_nets import KINDS, maml_of
from precision import double_precision_on_one_thread
from repository import REPOSITORY

from metann import MAML

HERE = Path(__file__).parent
PROGRAM = HERE / "meta_gradients_of_a_rank.py"
TASKS = 6


def in_two_processes(program: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    # A port of the system's choice: other tests may run at the same time.
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", str(program), *arguments]
    done = subprocess.run(
        command,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(HERE)]),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What was given to both processes, and what each of them found, by kind of net."""
    folder = tmp_path_factory.mktemp("ranks")
    with double_precision_on_one_thread(seed=7):
        given = {kind: given_to(maml_of(kind, seed=7)) for kind in KINDS}
    torch.save(given, folder / "tasks.pt")
    in_two_processes(PROGRAM, str(folder))
    return given, [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


def given_to(maml: MAML[Any]) -> dict[str, Any]:
    support, query = ([torch.randn(TASKS, 4, 5), torch.randn(TASKS, 4, 2)] for _ in range(2))
    state = {name: value.clone() for name, value in maml.state_dict().items()}
    return {"state": state, "support": support, "query": query}


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_have_the_meta_gradients_of_one_with_all_tasks(kind: str, ranks) -> None:
    given, found = ranks
    maml = maml_of(kind, seed=8)
    maml.load_state_dict(given[kind]["state"])
    optimizer = torch.optim.SGD(maml.parameters(), lr=0.1)

    for of_ranks in zip(*(of_rank[kind] for of_rank in found), strict=True):
        optimizer.zero_grad()
        maml.task_losses(given[kind]["support"], given[kind]["query"]).mean().backward()
        for name, parameter in maml.named_parameters():
            assert parameter.grad.abs().max() > 1e-9
            for of_rank in of_ranks:
                assert torch.allclose(of_rank[name], parameter.grad, rtol=1e-10, atol=1e-12), name
        optimizer.step()

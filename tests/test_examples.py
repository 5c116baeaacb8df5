"""The programs in examples/ run, in a short form, from any folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from repository import REPOSITORY

PNG = b"\x89PNG\r\n\x1a\n"


def quickstart(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the quickstart with two iterations and three test tasks."""
    program = str(REPOSITORY / "examples" / "quickstart.py")
    short = ("--iterations=2", "--test-tasks=3", "--out=figures/quick.png")
    return subprocess.run(
        [sys.executable, program, *short],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
    )


def test_the_quickstart_prints_accuracy_on_unseen_classes_and_writes_its_figure(
    tmp_path: Path,
) -> None:
    done = quickstart(tmp_path)

    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("meta-trained net")]
    numbers = [float(number) for number in re.findall(r"[\d.]+", row)]
    assert "unseen classes 5 to 9" in done.stdout
    assert re.search(r"[\d.]+ ± [\d.]+ % +[\d.]+ ± [\d.]+ %$", row), "before and after"
    assert len(numbers) == 4
    assert all(0 <= number <= 100 for number in numbers)
    assert "meta-training: 100%" in done.stderr, "the progress bar"
    assert (tmp_path / "figures" / "quick.png").read_bytes().startswith(PNG)


def test_the_same_seed_gives_the_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "examples"))
    import quickstart as program

    def trained(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        net = program.make_net()
        program.meta_train(net, program.Digits(), 2, seed)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_two_processes_of_the_distributed_example_find_what_one_does(tmp_path: Path) -> None:
    program = [str(REPOSITORY / "examples" / "distributed.py"), "--iterations=3"]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(tmp_path)}
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
    # A port of the system's choice: other tests may run at the same time.
    torchrun += ["--rdzv-endpoint=localhost:0"]

    alone, together = (
        subprocess.run(
            [sys.executable, *how, *program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        for how in ([], torchrun)
    )

    assert alone.returncode == 0, alone.stderr
    assert together.returncode == 0, together.stderr
    assert re.search(r"after 10 steps  \d\.\d{3} ± \d\.\d{3}\n", alone.stdout)
    assert "learned step size  0.01" in alone.stdout
    assert together.stdout == alone.stdout

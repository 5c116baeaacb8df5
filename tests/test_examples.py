"""The programs in examples/ run, in a short form, from any folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPOSITORY

PNG = b"\x89PNG\r\n\x1a\n"


def quickstart(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the quickstart with two iterations and three test tasks."""
    program = str(REPOSITORY / "examples" / "quickstart.py")
    short = ("--iterations=2", "--test-tasks=3", "--out=figures/quick.png")
    return subprocess.run(
        [sys.executable, program, *short, *options],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quickstart")


@pytest.fixture(scope="module")
def done(folder: Path) -> subprocess.CompletedProcess[str]:
    return quickstart(folder, "--seed=3")


pytestmark = pytest.mark.xdist_group("quickstart")


def test_the_quickstart_ends_well(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def test_it_prints_accuracy_before_and_after_adaptation_with_intervals(
    done: subprocess.CompletedProcess[str],
) -> None:
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("meta-trained net")]
    numbers = [float(number) for number in re.findall(r"[\d.]+", row)]

    assert "unseen classes 5 to 9" in done.stdout
    assert re.search(r"[\d.]+ ± [\d.]+ % +[\d.]+ ± [\d.]+ %$", row)
    assert len(numbers) == 4
    assert all(0 <= number <= 100 for number in numbers)


def test_it_writes_its_figure(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert (folder / "figures" / "quick.png").read_bytes().startswith(PNG)
    assert "figure: figures/quick.png" in done.stdout


def test_it_shows_a_progress_bar(done: subprocess.CompletedProcess[str]) -> None:
    assert "meta-training: 100%" in done.stderr


def test_the_same_seed_gives_the_same_numbers(
    done: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert quickstart(tmp_path, "--seed=3").stdout == done.stdout

"""`benchmarks/sinusoid.py` in a short form: it learns to learn, prints its table and draws."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from repository import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import sinusoid

    return sinusoid


def test_meta_training_lowers_the_loss_after_adaptation(program: ModuleType) -> None:
    torch.manual_seed(0)
    net = program.make_net()
    points = program.episodes_to_test_on(10)
    before = program.errors(program.Trained("untrained", net, 0.01), points).mean(dim=0)
    program.train(program.learner(net), 400, seed=0, name="MAML")
    after = program.errors(program.Trained("MAML", net, 0.01), points).mean(dim=0)

    assert before.shape == (11,)
    for steps in program.STEPS:
        assert after[steps] < 0.75 * before[steps]
    assert after[1] < 0.75 * after[0], "it is adaptation that lowers the loss"


def test_the_initial_weights_of_the_papers_code_are_small_and_truncated(
    program: ModuleType,
) -> None:
    torch.manual_seed(0)
    net = program.make_net(original_init=True)
    first, middle, last = (layer.weight.detach() for layer in (net[0], net[2], net[4]))

    assert not any(layer.bias.any() for layer in (net[0], net[2], net[4]))
    assert max(float(weight.abs().max()) for weight in (first, middle, last)) <= 0.02
    # A normal distribution cut off at two standard deviations has 0.88 of its standard deviation.
    assert float(middle.std()) == pytest.approx(0.0088, rel=0.05)


def test_curves_that_diverge_are_counted_and_left_out_of_the_mean(program: ModuleType) -> None:
    nan = float("nan")
    rows = torch.tensor([[2.0, 1.0], [4.0, 2.0], [3.0, 101.0], [3.0, nan], [3.0, float("inf")]])
    mean, half = program.mean_and_interval(rows)

    assert program.diverged(rows).tolist() == [False, False, True, True, True]
    assert mean.tolist() == [3.0, 1.5]
    assert half.tolist() == pytest.approx([1.96 * 2**0.5 / 2**0.5, 1.96 * 0.5**0.5 / 2**0.5])


def test_it_prints_the_table_beside_the_papers_and_writes_its_figure(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "sinusoid.py"), "--iterations=2", "--out=out/a.png"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(tmp_path), "COLUMNS": "120"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.count("│") > 4]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert [row[:2] for row in cells] == [
        ["MAML", "5"],
        ["in the paper", "5"],
        ["MAML", "10"],
        ["pretrained on all tasks", "5"],
        ["in the paper", "5"],
        ["pretrained on all tasks", "10"],
    ]
    assert cells[1][2:] == ["0.67", "0.38", "0.35", ""]
    assert all(re.fullmatch(r"\d+\.\d\d ± \d+\.\d\d", cell) for cell in cells[0][2:5])
    assert cells[0][5] == "0", "none diverged"
    assert "MAML: 100%" in done.stderr, "the progress bar"
    assert (tmp_path / "out" / "a.png").read_bytes().startswith(PNG)

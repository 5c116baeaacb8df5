"""The generated files of this repository, and the command as it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from torch import nn

from metann.codegen.model import LibraryPlan

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "generate.py"


def run_tool(*options: str, cwd: Path, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """Run the command as a maintainer does, from some other folder."""
    return subprocess.run(
        [sys.executable, str(TOOL), *options],
        cwd=cwd,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}


def test_the_generated_files_are_up_to_date(tmp_path):
    done = run_tool("--check", cwd=tmp_path, seed="1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "files up to date with torch" in done.stdout


def test_another_hash_seed_gives_the_same_bytes_into_a_broken_folder(tmp_path):
    """Into an empty folder the command writes in test_tool.py."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "__init__.py").write_text("class (:\n")
    (broken / "linear.py").write_bytes(b"\xff\xfe")

    done = run_tool("--output", str(broken), cwd=tmp_path, seed="2")

    assert done.returncode == 0, done.stderr
    assert contents(broken) == contents(ROOT / "generated")


def test_every_public_module_of_torch_is_written_or_skipped_with_a_reason(torch_plan: LibraryPlan):
    public = {
        f"torch.nn.{name}"
        for name, value in vars(nn).items()
        if isinstance(value, type) and issubclass(value, nn.Module)
    }
    written = {layer.original for file in torch_plan.files for layer in file.layers}
    skipped = {item.original: item.why_skipped() for item in torch_plan.skipped}

    assert public - written - set(skipped) == set()
    assert all(len(why.split()) > 3 for why in skipped.values())


def test_modules_that_torch_puts_into_a_tree_are_written(torch_plan: LibraryPlan):
    names = {layer.name for file in torch_plan.files for layer in file.layers}

    assert names >= {
        "DependentNonDynamicallyQuantizableLinear",
        "DependentParametrizationList",
        "DependentOrthogonal",
        "DependentWeightNorm",
        "DependentSpectralNorm",
    }


def test_most_forwards_are_written_out(torch_plan: LibraryPlan):
    layers = {layer.original: layer for file in torch_plan.files for layer in file.layers}
    written = [
        name
        for name, layer in layers.items()
        if not (layers[layer.forward_of] if layer.forward_of else layer).why_delegates
    ]

    assert len([name for name in written if name.count(".") == 2]) == 115
    assert layers["torch.nn.CrossMapLRN2d"].how == (
        "delegates to torch: its forward calls torch.nn.modules._functions.CrossMapLRN2d.apply, "
        "which is private to torch"
    )

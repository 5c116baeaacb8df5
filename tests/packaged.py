"""The package as a release ships it: built in a copy of the tree, and installed elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from repository import REPOSITORY

NOT_IN_A_CHECKOUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "out", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


@dataclass(frozen=True)
class Archives:
    """What `python -m build` makes, and what it prints meanwhile."""

    source: Path
    wheel: Path
    printed: str


def build(folder: Path) -> Archives:
    """Make both archives in a copy of the tree, so that nothing is left in it."""
    tree, made = folder / "tree", folder / "dist"
    shutil.copytree(REPOSITORY, tree, symlinks=True, ignore=NOT_IN_A_CHECKOUT)
    # What running the tests leaves in a checkout, and a release must not hold.
    (tree / "metann" / "__pycache__").mkdir()
    (tree / "metann" / "__pycache__" / "learner.cpython-311.pyc").touch()
    done = started("-m", "build", "--no-isolation", "--outdir", str(made), cwd=tree)
    (source,) = made.glob("*.tar.gz")
    (wheel,) = made.glob("*.whl")
    return Archives(source, wheel, done.stdout + done.stderr)


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel into this folder, and nothing else."""
    options = ("--quiet", "--no-deps", "--no-index", "--target", str(folder))
    run("-m", "pip", "install", *options, str(wheel), cwd=folder)
    return folder


def run(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run this Python elsewhere and return what it prints; `path` is all that is on its path."""
    return started(*arguments, cwd=cwd, path=path).stdout


def started(
    *arguments: str, cwd: Path, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The same, with what it says of warnings beside what it prints."""
    # Where Python writes no compiled files, `build` warns that it compiles none.
    hidden = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done

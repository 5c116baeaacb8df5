"""What it costs a type checker that a file uses metann, as a ratio to the same file with torch.nn.

    python benchmarks/checking.py

Each checker opens both files in turn, outside of the repository, with metann installed as a user
has it. Counted are seconds of the processor, which hardly depend on what else the machine does; the
ratio is taken within each round, and the median over the rounds is shown.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from rich.progress import track
from tables import Json, Limit, Row, Table, finish

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "metann"
PROMISED = 1.5


@dataclass(frozen=True)
class Case:
    """A way to open a file: with nothing known, or with what the checker kept of the last time."""

    name: str
    command: tuple[str, ...]
    keeps: bool
    rounds: int


def cases(python: Path, rounds: int) -> list[Case]:
    """mypy reads all of torch when nothing is kept, which takes long: it has fewer rounds."""
    mypy = ("mypy", "--strict", "--python-executable", str(python))
    few = max(1, rounds // 3)
    return [
        Case("pyright", ("pyright", "--pythonpath", str(python)), False, rounds),
        Case("mypy, the first time", mypy, False, few),
        Case("mypy, after an edit", mypy, True, rounds),
        Case(
            "pyrefly", ("pyrefly", "check", "--python-interpreter-path", str(python)), False, rounds
        ),
    ]


def install(folder: Path) -> Path:
    """A Python with this checkout's metann among its packages, and with all that this one has."""
    venv.create(folder, symlinks=True)
    (packages,) = (folder / "lib").glob("*/site-packages")
    shutil.copytree(PACKAGE, packages / "metann", ignore=shutil.ignore_patterns("__pycache__"))
    others = [path for path in sys.path if path.endswith("-packages")]
    (packages / "others.pth").write_text("\n".join(others), encoding="utf-8")
    return folder / "bin" / "python"


def seconds(case: Case, folder: Path) -> float:
    """What the processor takes to open the file of this folder; an edit is a line more in it."""
    if not case.keeps:
        shutil.rmtree(folder / ".mypy_cache", ignore_errors=True)
    (file,) = folder.glob("*.py")
    file.write_text(file.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    hidden = {"PYTHONPATH", "MYPYPATH"}
    seen = {name: value for name, value in os.environ.items() if name not in hidden}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = (sys.executable, "-m", *case.command, file.name)
    done = subprocess.run(command, cwd=folder, env=seen, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{case.name} finds errors in {file.name}:\n{done.stdout}{done.stderr}")
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def measure(case: Case, folders: Mapping[str, Path]) -> dict[str, list[float]]:
    """Seconds for each file and round; the order turns from round to round."""
    names = [*folders]
    taken: dict[str, list[float]] = {name: [] for name in names}
    if case.keeps:
        for folder in folders.values():
            seconds(case, folder)  # So that there is something to keep.
    for number in track(range(case.rounds), description=case.name, transient=True):
        for name in names if number % 2 else reversed(names):
            taken[name].append(seconds(case, folders[name]))
    return taken


def row_of(case: Case, folders: Mapping[str, Path]) -> Row:
    """One checker, and whether its promise was kept."""
    taken = measure(case, folders)
    plain, ours = taken["with_torch"], taken["with_metann"]
    ratio = statistics.median(b / a for a, b in zip(plain, ours, strict=True))
    limit = Limit(f"{case.name}: a file that uses metann / the same with torch.nn", ratio, PROMISED)
    return Row((case.name, statistics.median(plain), statistics.median(ours), ratio), limit)


def tables(rounds: int, only: str) -> list[Table]:
    """All checkers, or those with this in their names."""
    with TemporaryDirectory() as name:
        python = install(Path(name) / "venv")
        folders = {file.stem: Path(name) / file.stem for file in (HERE / "opened").glob("*.py")}
        for stem, folder in folders.items():
            folder.mkdir()
            shutil.copy(HERE / "opened" / f"{stem}.py", folder)
        chosen = [case for case in cases(python, rounds) if only in case.name]
        rows = tuple(row_of(case, folders) for case in chosen)
    columns = "checker", "torch.nn, s", "metann, s", "ratio"
    return [Table("opening a file", columns, rows)]


def main(rounds: int = 9, only: str = "", json_file: Json = None) -> None:
    """Measure, print the table, and exit with 1 if the promised ratio is exceeded."""
    finish(tables(rounds, only), json_file)


if __name__ == "__main__":
    typer.run(main)

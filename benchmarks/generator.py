"""What the generator takes: for all layers of torch, and for a class of yours on first use.

    python benchmarks/generator.py

The command is run as a maintainer runs it, in a process of its own, the start of Python included.
On first use, a class gets its counterpart in the process that uses it; the first class of all loads
the templates, too. Medians, by the clock.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import typer
from own_layers import classes
from rich.progress import track
from tables import Json, Row, Table, finish

from metann import DependentModule

REPOSITORY = Path(__file__).resolve().parent.parent


def seconds_of_the_check() -> float:
    """`tools/generate.py --check`: everything is read, planned, rendered, formatted, compared."""
    began = time.perf_counter()
    command = [sys.executable, "tools/generate.py", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[1:])}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def on_first_use() -> list[float]:
    """Milliseconds of the first conversion of each of some classes that nobody has written for."""
    taken: list[float] = []
    for kind in classes():
        module = kind()
        began = time.perf_counter()
        DependentModule(module)
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


def tables(rounds: int) -> list[Table]:
    """One table."""
    checks = [seconds_of_the_check() for _ in track(range(rounds), transient=True)]
    first, *others = on_first_use()
    rows = (
        Row(("`python tools/generate.py --check`, all layers, s", statistics.median(checks))),
        Row(("a class of yours, on first use, ms", statistics.median(others))),
        Row(("the first of all, ms", first)),
    )
    return [Table("the generator", ("what", "time"), rows)]


def main(rounds: int = 3, json_file: Json = None) -> None:
    """Measure, and print the table."""
    finish(tables(rounds), json_file)


if __name__ == "__main__":
    typer.run(main)

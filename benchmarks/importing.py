"""What `import metann` adds to `import torch`, and what the first use of its names adds to that.

    python benchmarks/importing.py

Each round is a process of its own, which imports torch and then metann; shown are the medians of
the processor's time. `import metann` loads no more than its table of names; what stands behind them
is loaded at first use, so the rows below it say what that adds, all that stands above included.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import typer
from rich.progress import track
from tables import Json, Limit, Row, Table, finish

REPOSITORY = Path(__file__).resolve().parent.parent
PROMISED = 60.0  # milliseconds

TORCH = "import torch"
#: What a process imports after torch, one after another.
IMPORTS = (
    ("import metann", "import metann"),
    ("... and of DependentModule and Learner", "from metann import DependentModule, Learner"),
    ("... and of MAML", "from metann import MAML"),
    ("... and of every public name", "from metann import *"),
    ("... and of every generated layer", "from metann.generated import *"),
)
#: Promised are the statement itself, and what a program without an inner loop of ours needs.
LIMITED = [name for name, _ in IMPORTS[:2]]

PROGRAM = """
import time
times = []
for statement in {statements!r}:
    began = time.process_time()
    exec(statement, {{}})
    times.append((time.process_time() - began) * 1e3)
print(*times)
"""


def milliseconds() -> list[float]:
    """What a new process takes for torch, and then for one statement after another.

    It may keep what it compiles, as pip does when it installs a package.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    program = PROGRAM.format(statements=[TORCH, *(code for _, code in IMPORTS)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**kept, "PYTHONPATH": path},
    )
    return [float(number) for number in done.stdout.split()]


def tables(rounds: int) -> list[Table]:
    """One table: torch alone, then what all of ours up to a row have added to it."""
    milliseconds()  # Compiles what has not been compiled yet.
    found = [milliseconds() for _ in track(range(rounds), description="imports", transient=True)]
    torchs = statistics.median(times[0] for times in found)
    rows = [Row((TORCH, torchs))]
    for number, (name, _) in enumerate(IMPORTS, 2):
        added = statistics.median(sum(times[1:number]) for times in found)
        limit = Limit(f"{name}, ms after {TORCH}".replace("...", "import metann"), added, PROMISED)
        rows.append(Row((name, added), limit if name in LIMITED else None))
    return [Table("imports in a new process", ("statement", "ms"), tuple(rows))]


def main(rounds: int = 7, json_file: Json = None) -> None:
    """Measure, print the table, and exit with 1 if an import takes longer than promised."""
    finish(tables(rounds), json_file)


if __name__ == "__main__":
    typer.run(main)

"""A program of examples/ run as a user would: by its path, in a folder of the user's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from repository import REPOSITORY

PNG = b"\x89PNG\r\n\x1a\n"


def run(
    name: str, *options: str, folder: Path, also: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    """Run examples/NAME in a folder with these options; warnings are errors, as in the tests.

    Packages are found in the folder `also`, too.
    """
    return subprocess.run(
        [sys.executable, "-W", "error", str(REPOSITORY / "examples" / name), *options],
        cwd=folder,
        env={"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{also}", "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
    )


def row_of(name: str, printed: str) -> list[tuple[float, float]]:
    """The `mean ± interval` of the row of a table that begins with this name.

    Example: "plain", "plain   61.0 ± 2.1 %   70.2 ± 1.9 %" -> [(61.0, 2.1), (70.2, 1.9)]
    """
    (row,) = [line for line in printed.splitlines() if line.startswith(name)]
    return [(float(m), float(half)) for m, half in re.findall(r"([\d.]+) ± ([\d.]+)", row)]

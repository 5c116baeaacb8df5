"""How large the wheel is, and what is in it.

    python benchmarks/wheel.py

It is built as a release is, by `python -m build`, in a copy of the tree.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections import defaultdict
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import typer
from tables import Json, Limit, Row, Table, finish

REPOSITORY = Path(__file__).resolve().parent.parent
# What a build reads. The two links in metann/ stay links.
NEEDED = ("metann", "generated", "templates", "pyproject.toml", "constraints.txt", "MANIFEST.in")
NEEDED_TOO = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
PROMISED = 300.0
KILOBYTE = 1e3


def build(folder: Path) -> Path:
    """Make the wheel of this checkout in a folder."""
    tree = folder / "tree"
    tree.mkdir()
    for name in (*NEEDED, *NEEDED_TOO):
        source = REPOSITORY / name
        if source.is_dir():
            left_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tree / name, symlinks=True, ignore=left_out)
        else:
            shutil.copy(source, tree / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the wheel cannot be built:\n{done.stdout}{done.stderr}")
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel


def sizes(wheel: Path) -> dict[str, tuple[int, int]]:
    """The number of files and of their bytes in the archive, for each folder under metann/."""
    found: dict[str, list[int]] = defaultdict(list)
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            found["/".join(parts[: 2 if len(parts) > 2 else 1])].append(entry.compress_size)
    ordered = sorted(found.items(), key=lambda item: -sum(item[1]))
    return {name: (len(each), sum(each)) for name, each in ordered}


def table_of(wheel: Path) -> Table:
    """The whole first, with its limit; then its folders, the largest first."""
    total, parts = wheel.stat().st_size, sizes(wheel)
    files = sum(count for count, _ in parts.values())
    rows = [
        Row(
            ("the wheel", files, total / KILOBYTE),
            Limit("the wheel, kB", total / KILOBYTE, PROMISED),
        )
    ]
    rows += [Row((name, count, size / KILOBYTE)) for name, (count, size) in parts.items()]
    entries = total - sum(size for _, size in parts.values())
    rows.append(Row(("names of files, in the archive's lists", None, entries / KILOBYTE)))
    return Table("the wheel", ("part", "files", "kB, compressed"), tuple(rows))


def main(json_file: Json = None) -> None:
    """Build, print the table, and exit with 1 if the wheel is larger than promised."""
    with TemporaryDirectory() as folder:
        table = table_of(build(Path(folder)))
    finish([table], json_file)


if __name__ == "__main__":
    typer.run(main)

"""mypy --strict on what is written for real files: it has nothing to add to what it says of them.

A bare `Dict` in the user's signature stays one in the counterpart's, and so does the complaint.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from every_file import FILES, MISSING
from outputs import ROOT, Outputs
from real_files import RealFile

SETTINGS = """\
[mypy]
strict = true
follow_imports = silent
follow_untyped_imports = true
cache_dir = cache
"""
LINE = re.compile(r"(?P<path>[^:]+):\d+: error: (?P<message>.*)")
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason="mypy reads a dozen packages, which takes a minute: run `make models`"
)


@pytest.fixture(scope="module")
def complaints(
    outputs: Outputs, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, list[str]]]:
    """What mypy says of the written files, and of the files themselves, by their paths."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "mypy.ini").write_text(SETTINGS)
    for file in FILES:
        (folder / named_after(file)).write_text(outputs.of(file.package).path(file).read_text())
    modules = [word for file in FILES for word in ("-m", file.module)]
    return {
        "written": said(folder, *map(named_after, FILES)),
        "originals": said(folder, *modules),
    }


def named_after(file: RealFile) -> str:
    """Two files of one last name are two."""
    return f"dependent_{file.module.replace('.', '_')}.py"


def said(folder: Path, *what: str) -> dict[str, list[str]]:
    """The messages of mypy about each file; those of the folder are known by their names."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *what],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, list[str]] = defaultdict(list)
    for line in done.stdout.splitlines():
        if match := LINE.match(line):
            path = (folder / match["path"]).resolve()
            found[path.name if path.parent == folder.resolve() else str(path)].append(
                match["message"]
            )
    return found


@pytest.mark.parametrize("file", FILES, ids=[file.module for file in FILES])
def test_mypy_says_nothing_of_a_written_file_that_it_does_not_say_of_its_source(
    complaints: dict[str, dict[str, list[str]]], file: RealFile
) -> None:
    written = complaints["written"][named_after(file)]
    of_itself = complaints["originals"][str(Path(str(file.original().__file__)).resolve())]

    assert [message for message in written if message not in of_itself] == []

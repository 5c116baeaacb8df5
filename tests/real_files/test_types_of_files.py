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
def complaints(outputs: Outputs, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[str]]:
    """What mypy says of the written files, by their names, and of those they are made from."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "mypy.ini").write_text(SETTINGS)
    for file in FILES:
        (folder / named_after(file)).write_text(outputs.of(file.package).path(file).read_text())
    modules = [name for file in FILES for name in (named_after(file).stem, file.module)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *(word for name in modules for word in ("-m", name))],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[Path, list[str]] = defaultdict(list)
    for match in filter(None, map(LINE.match, done.stdout.splitlines())):
        path = folder / match["path"]
        here = path.resolve().parent == folder.resolve()
        found[Path(path.name) if here else path.resolve()].append(match["message"])
    return found


def named_after(file: RealFile) -> Path:
    """Two files of one last name are two."""
    return Path(f"dependent_{file.module.replace('.', '_')}.py")


@pytest.mark.parametrize("file", FILES, ids=[file.module for file in FILES])
def test_mypy_says_nothing_of_a_written_file_that_it_does_not_say_of_its_source(
    complaints: dict[Path, list[str]], file: RealFile
) -> None:
    written = complaints[named_after(file)]
    of_itself = complaints[Path(str(file.original().__file__)).resolve()]

    assert [message for message in written if message not in of_itself] == []

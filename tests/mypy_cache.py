"""What mypy knows of torch from the checks of this repository, for the tests that run it elsewhere.

Reading torch takes mypy some twenty seconds of a processor, and with a cache one. What is in the
cache is used only where it still holds: mypy compares files and settings. So a test that wants to
profit takes `SETTINGS`, which are those of pyproject.toml.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from repository import REPOSITORY

NAME = ".mypy_cache"
SETTINGS = ("--strict", "--warn-unreachable", "--python-version=3.10")


def copy_into(folder: Path) -> None:
    """Give mypy, when it is run in this folder, a copy of the checkout's cache, if there is one."""
    for path in (REPOSITORY / NAME).rglob("*"):
        copy = folder / path.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".db":
            _copy_database(path, copy)
        elif path.is_file() and not path.name.startswith("cache."):
            shutil.copy(path, copy)


def _copy_database(path: Path, copy: Path) -> None:
    """As a whole, also while mypy writes to it."""
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(copy)) as other:
        one.backup(other)

"""A folder like that of a user who has installed metann, and what the checkers say there."""

from __future__ import annotations

import json
import os
import shutil
import sys
import venv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import every_layer_revealed
import mypy_cache
import pytest
from checkers import CHECKERS, Finding
from filelock import FileLock
from packaged import Archives, install

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def users_folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder, outside the repository; all processes of a test run have one between them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "typed"
    with FileLock(shared / "typed.lock"):
        if not folder.exists():
            archives: Archives = request.getfixturevalue("archives")
            make(shared / "unfinished", archives.wheel).rename(folder)
    return folder


def make(folder: Path, wheel: Path) -> Path:
    """The settings, the user's files, and an environment with metann and this one's packages."""
    shutil.copytree(HERE / "settings", folder)
    shutil.copytree(HERE / "user_code", folder / "user_code")
    (folder / "user_code" / "__init__.py").touch()
    (folder / f"{every_layer_revealed.NAME}.py").write_text(every_layer_revealed.text())
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv" / "lib").glob("*/site-packages")
    install(wheel, packages)
    others = [path for path in sys.path if path.endswith("-packages")]
    mypy_cache.copy_into(folder)
    (packages / "torch_and_others.pth").write_text("\n".join(others), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def findings_of(users_folder: Path) -> Callable[[str], list[Finding]]:
    """What a checker says about the user's files and about metann; each is run once."""

    def findings(name: str) -> list[Finding]:
        kept = users_folder / f"{name}.json"
        with FileLock(users_folder / f"{name}.lock"):
            if not kept.exists():
                found = CHECKERS[name].check(users_folder)
                kept.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")
        return [Finding(**one) for one in json.loads(kept.read_text(encoding="utf-8"))]

    return findings

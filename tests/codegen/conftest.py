"""What the tests of the generator share."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import contents, write_project

from metann.codegen.library import Library, find_torch, read_torch
from metann.codegen.model import LibraryPlan
from metann.codegen.plan import plan_library
from metann.codegen.users import command as user_command
from metann.codegen.users.command import Options, run


@pytest.fixture(scope="session")
def torch_library() -> Library:
    """The installed torch, read once."""
    return read_torch(find_torch())


@pytest.fixture(scope="session")
def torch_plan(torch_library: Library) -> LibraryPlan:
    """What is written of the installed torch."""
    return plan_library(torch_library)


@pytest.fixture
def quick(monkeypatch, torch_library: Library) -> None:
    """`metann-generate` with a torch that has been read already."""
    monkeypatch.setattr(user_command, "read_torch", lambda root: torch_library)


@pytest.fixture
def project(tmp_path, monkeypatch, quick) -> Path:
    """The current folder, with a user's package in it."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(project, capsys):
    """Run the command, which must fail and change nothing; return what it says."""

    def refuse(*targets: str, output: str = "out.py", **options: bool) -> str:
        before = contents(project)
        capsys.readouterr()
        assert run(targets, output, Options(**options)) == 2
        assert contents(project) == before
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.endswith(" Nothing was written.\n")
        return printed.err.removesuffix(" Nothing was written.\n")

    return refuse

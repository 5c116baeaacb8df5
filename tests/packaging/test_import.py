"""`import metann` costs nothing: names are loaded when first used."""

from __future__ import annotations

from pathlib import Path

from packaged import run
from repository import REPOSITORY


def added_by(statement: str, folder: Path) -> list[str]:
    """The modules that a statement loads in a process that has torch."""
    code = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    return run("-c", code, cwd=folder, path=REPOSITORY).split()


def test_importing_metann_loads_no_other_module(tmp_path: Path) -> None:
    assert added_by("import metann", tmp_path) == ["metann"]


def test_the_names_that_every_program_uses_load_only_modules_of_metann(tmp_path: Path) -> None:
    statement = "from metann import DependentModule, Learner, to_dependent"
    added = added_by(statement, tmp_path)
    elsewhere = {name.partition(".")[0] for name in added} - {"metann"}

    assert elsewhere == set()
    assert not [name for name in added if name.startswith(("metann.codegen", "metann.compat"))]
    assert not [name for name in added if name.startswith("metann.generated.")]


def test_no_name_of_the_package_loads_the_generator_or_the_work_alikes(tmp_path: Path) -> None:
    added = added_by("from metann import *", tmp_path)

    assert not [name for name in added if name.startswith(("metann.codegen", "metann.compat"))]
    assert not {"jinja2", "libcst", "black", "typer", "matplotlib"} & set(added)

"""The words of the command, as they stand in the header of a written file and in messages."""

from __future__ import annotations

import shlex
from pathlib import Path

from metann.codegen.users.locate import Target
from metann.codegen.users.search import find_module

NAME = "metann-generate"
STDOUT = "-"


def spell_command(target: Target, path: Path | None, *, rewrite: bool = False) -> str:
    """The command that writes one file, without the paths of one machine.

    Example: "metann-generate pkg.nets:Net -o out/dependent_nets.py"
    """
    module = _portable_target(target)
    words = [f"{module}:{name}" for name in target.names] or [module]
    words += ["--rewrite"] if rewrite else []
    return shlex.join([NAME, *words, "-o", _portable(path) if path else STDOUT])


def _portable_target(target: Target) -> str:
    """How the target is named on every machine: a path from here, or else the module."""
    if target.given == target.module or not Path(target.given).is_absolute():
        return target.given
    shown = _portable(target.path)
    known = None if "/" in shown else find_module(target.module)
    return target.module if known is not None and known.samefile(target.path) else shown


def _portable(path: Path) -> str:
    """A path as it is typed in the current folder; of one from elsewhere, only its name."""
    if not path.is_absolute():
        return path.as_posix()
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name

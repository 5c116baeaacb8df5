"""The maintainers' command: refresh or check generated/. tools/generate.py is its door."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress as ProgressBar

from metann.codegen import report
from metann.codegen.errors import CodegenError, WriteError
from metann.codegen.generate import Places, generate, plan, usual_places
from metann.codegen.model import LibraryPlan
from metann.codegen.write import Change, FileChange, apply, compare

if TYPE_CHECKING:
    from collections.abc import Generator

    from metann.codegen.generate import Progress

app: typer.Typer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 and say what is out of date.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change.")
    ] = False,
    list_classes: Annotated[
        bool, typer.Option("--list", help="Show every class: written out, delegating or skipped.")
    ] = False,
    only: Annotated[
        str,
        typer.Option(
            help="Refresh only the files of these classes: Linear,Conv2d", metavar="NAMES"
        ),
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="Another folder than generated/.", metavar="FOLDER")
    ] = None,
) -> None:
    """Write the counterparts of torch.nn's layers to generated/."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    options = Options(check=check, diff=diff, list_classes=list_classes, only=names)
    try:
        usual = usual_places()
        places = usual if output is None else replace(usual, generated=output)
        status = run(places, options, Console())
    except (CodegenError, WriteError) as error:
        Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        status = 2
    raise typer.Exit(status)


@dataclass(frozen=True)
class Options:
    """What the command is asked to do: to write, if nothing else is said."""

    check: bool = False
    diff: bool = False
    list_classes: bool = False
    only: Sequence[str] = ()


def run(places: Places, options: Options, console: Console) -> int:
    """Do what the options say, and return the exit status."""
    with _progress(console) as progress:
        progress("reading torch", 0, 1)
        wanted = plan(places)
        chosen = _files_of(options.only, wanted)
        if options.list_classes:
            report.print_list(wanted, console)
            return 0
        changes = compare(generate(wanted, places, progress), places.generated)
    if chosen:
        changes = tuple(item for item in changes if item.path.name in chosen)
    if options.check:
        return _check(wanted, changes, console)
    if options.diff:
        report.print_diff(changes, console)
        return 0
    return _write(wanted, changes, console)


def _check(wanted: LibraryPlan, changes: Sequence[FileChange], console: Console) -> int:
    versions = {item.torch_version for item in changes} - {None, wanted.torch_version}
    if versions:
        report.print_other_torch(sorted(filter(None, versions)), wanted, console)
        return 1
    if any(item.change is not Change.NONE for item in changes):
        report.print_outdated(changes, console)
        return 1
    text = f"{len(changes)} files up to date with torch {wanted.torch_version}"
    console.print(text, highlight=False)
    return 0


def _write(wanted: LibraryPlan, changes: Sequence[FileChange], console: Console) -> int:
    apply(changes)
    report.print_summary(wanted, changes, console)
    report.print_foreign(changes, console)
    return int(any(item.change is Change.FOREIGN for item in changes))


def _files_of(names: Sequence[str], wanted: LibraryPlan) -> set[str]:
    """The files that hold some classes. Example: ["Linear", "nn.Conv2d"] -> linear.py, conv.py."""
    files = {item.name: f"{item.file}.py" for item in wanted.counterparts}
    return {files[_counterpart_name(name, list(files))] for name in names}


def _counterpart_name(name: str, known: Sequence[str]) -> str:
    """Example: "torch.nn.Linear", "Linear" or "DependentLinear" -> "DependentLinear"."""
    bare = name.rpartition(".")[2].removeprefix("Dependent").lstrip("_")
    if f"Dependent{bare}" in known:
        return f"Dependent{bare}"
    bare_names = [item.removeprefix("Dependent") for item in known]
    folded = {item.lower(): item for item in bare_names}
    nearest = difflib.get_close_matches(bare.lower(), folded, n=3, cutoff=0.5)
    hint = f"; the nearest are {', '.join(folded[item] for item in nearest)}" if nearest else ""
    raise CodegenError(
        f"Asked for only {name}, but no counterpart is generated for a class of that name{hint}. "
        "`python tools/generate.py --list` shows them all."
    )


@contextmanager
def _progress(console: Console) -> Generator[Progress, None, None]:
    """A bar that shows what is done now, if this is a terminal."""
    with ProgressBar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting")

        def show(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        yield show

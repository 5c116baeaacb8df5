"""The users' command: counterparts of their own modules, in files."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from metann import __version__
from metann.codegen.errors import CodegenError, WriteError
from metann.codegen.library import find_torch, read_torch
from metann.codegen.users.collect import collect
from metann.codegen.users.making import compare, make, read_before
from metann.codegen.users.outputs import Job, plan_jobs
from metann.codegen.users.reporting import (
    Outcome,
    print_check,
    print_diffs,
    print_error,
    print_notes,
    print_summary,
    print_text,
    progress,
)
from metann.codegen.users.words import NAME, STDOUT
from metann.codegen.write import Change, write_files

_INTERRUPTED = 130
_TARGETS = "A file, or a module as in package.module; :Class after it for one class of it."
_OUTPUT = "The file to write, - for standard output, or a folder for several targets."

app: typer.Typer = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


@dataclass(frozen=True)
class Options:
    """What the command is asked to do: to write, if nothing else is said."""

    check: bool = False
    diff: bool = False
    rewrite: bool = False
    force: bool = False

    @property
    def writes(self) -> bool:
        """Whether any file may be changed."""
        return not (self.check or self.diff)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.command(no_args_is_help=True)
def main(
    targets: Annotated[list[str], typer.Argument(metavar="TARGET", help=_TARGETS)],
    output: Annotated[str, typer.Option("--output", "-o", metavar="OUTPUT", help=_OUTPUT)],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 with a diff if out of date.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change.")
    ] = False,
    rewrite: Annotated[
        bool,
        typer.Option("--rewrite", help="Write the whole file anew, its modules made dependent."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite what was edited by hand since.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Write dependent counterparts of your own torch.nn.Module classes.

    TARGET is read, not imported: none of its code runs. The written file registers its classes
    when it is imported, so that metann.DependentModule(Net()) and Learner(Net()) use them.

    \b
    Examples:
      metann-generate nets.py -o dependent_nets.py
      metann-generate pkg.nets:Net pkg.nets:Block -o pkg/dependent_nets.py
      metann-generate pkg.nets pkg.heads -o pkg/dependents/
      metann-generate nets.py -o -                          show it
      metann-generate nets.py -o dependent_nets.py --check  in CI
      metann-generate nets.py -o flat_nets.py --rewrite     one steppable file

    Exit status: 0 if all is well, 1 if --check finds a file out of date, missing or edited,
    2 if it cannot be done; then nothing was written, or the message says what was.
    """
    del version
    raise typer.Exit(run(targets, output, Options(check, diff, rewrite, force)))


def run(targets: Sequence[str], output: str, options: Options = Options()) -> int:
    """Do what the options say, and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal cannot show must not end the command half-way.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _finish(_plan(targets, output, options), [*targets, "-o", output], options)
    except CodegenError as error:
        print_error(f"{error} Nothing was written.")
    except WriteError as error:
        print_error(str(error))
    except KeyboardInterrupt:
        print_error("Interrupted. No file is half-written; run the command again.")
        return _INTERRUPTED
    return 2


def _plan(targets: Sequence[str], output: str, options: Options) -> list[Outcome]:
    """Everything up to the first byte that is written; whatever can go wrong goes wrong here."""
    if output == STDOUT and not options.writes:
        raise CodegenError(
            "Asked to compare with standard output, but there is nothing in it to compare with. "
            "Give the file with `-o FILE`."
        )
    jobs = plan_jobs(targets, output, rewrite=options.rewrite, writes=options.writes)
    before = dict(zip(jobs, collect(read_before, jobs), strict=True))
    with progress(len(jobs)) as show:
        show("reading torch", 0, len(jobs))
        torch = read_torch(find_torch())

        def outcome(job: Job) -> Outcome:
            show(job.shown, jobs.index(job), len(jobs))
            made = make(job, torch, rewriting=options.rewrite)
            return Outcome(job, made, compare(job, before[job], made))

        return collect(outcome, jobs)


def _finish(outcomes: Sequence[Outcome], words: Sequence[str], options: Options) -> int:
    """Write, show or check what was planned."""
    if options.check:
        rewrite = ["--rewrite"] if options.rewrite else []
        print_check(outcomes, [NAME, *words, *rewrite])
        return int(any(item.file.change is not Change.NONE for item in outcomes))
    if options.writes and not options.force:
        collect(_refuse_edited, outcomes)
    print_notes(outcomes)
    if options.diff:
        print_diffs(outcomes)
        return 0
    for item in outcomes:
        if item.job.path is None:
            print_text(item.made.text)
            return 0
    changed = [item.file for item in outcomes if item.file.change is not Change.NONE]
    write_files({file.path: file.after or "" for file in changed})
    print_summary(outcomes)
    return 0


def _refuse_edited(outcome: Outcome) -> None:
    if outcome.is_edited:
        raise CodegenError(
            f"Asked to write {outcome.job.shown}, but it was edited by hand since metann-generate "
            "wrote it. Move the changes to another file, then use --force; --diff shows what would "
            "be lost."
        )

"""What the users' command prints."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress as ProgressBar
from rich.table import Table
from rich.text import Text

from metann.codegen.users.making import Made
from metann.codegen.users.outputs import Job
from metann.codegen.users.seal import is_edited
from metann.codegen.write import Change, FileChange

if TYPE_CHECKING:
    from metann.codegen.generate import Progress

# Of a table that no terminal shows: it is not wrapped.
_WIDE = 1000


@dataclass(frozen=True)
class Outcome:
    """A file that was asked for: what it is to say, and what this changes."""

    job: Job
    made: Made
    file: FileChange

    @property
    def is_edited(self) -> bool:
        """Whether writing would lose what somebody has put into the file by hand."""
        before = self.file.before
        return self.file.change is not Change.NONE and before is not None and is_edited(before)

    @property
    def state(self) -> str:
        """What `--check` finds. Example: "out of date"."""
        if self.is_edited:
            return "edited by hand"
        known = {Change.NONE: "up to date", Change.CREATED: "missing"}
        return known.get(self.file.change, "out of date")

    @property
    def done(self) -> str:
        """What writing did. Example: "updated"."""
        known = {Change.NONE: "unchanged", Change.CREATED: "created"}
        return known.get(self.file.change, "updated")


def print_error(text: str) -> None:
    """Say on standard error what is wrong, in red on a terminal."""
    _say(Console(stderr=True), text, style="red")


def print_notes(outcomes: Sequence[Outcome]) -> None:
    """Say on standard error what the user has to know about each file."""
    console = Console(stderr=True)
    for outcome in outcomes:
        if outcome.made.notes:
            _say(console, f"{outcome.job.shown}:")
        for note in outcome.made.notes:
            _say(console, f"  {note.what}: {note.why}")


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """A table of the files, or a line if there is one only."""
    console = _output()
    table = Table("file", "classes", "state", "notes", box=None, pad_edge=False)
    for outcome in outcomes:
        made = outcome.made
        table.add_row(
            Text(outcome.job.shown), str(made.classes), outcome.done, str(len(made.notes) or "")
        )
    if len(outcomes) > 1:
        console.print(table)
        return
    for outcome in outcomes:
        _say(console, f"{outcome.job.shown}: {outcome.done}, {_counted(outcome.made.classes)}")


def print_diffs(outcomes: Sequence[Outcome]) -> None:
    """What would change in each file."""
    for outcome in outcomes:
        _say(_output(), outcome.file.diff(), end="")


def print_check(outcomes: Sequence[Outcome], command: Sequence[str]) -> None:
    """A line for each file, below the diff of what is wrong."""
    print_diffs(outcomes)
    wrong = [outcome for outcome in outcomes if outcome.file.change is not Change.NONE]
    run = f"run `{shlex.join(command)}"
    for outcome in outcomes:
        todo = f"; {run}`" if outcome in wrong else ""
        if outcome.is_edited:
            todo = f" since it was written; move the changes elsewhere, then {run} --force`"
        _say(_output(), f"{outcome.job.shown} is {outcome.state}{todo}")


def print_text(text: str) -> None:
    """The text of a file, and nothing else, in the encoding of Python's sources."""
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.flush()


@contextmanager
def progress(files: int) -> Generator[Progress, None, None]:
    """A bar that shows what is done now, if this is a terminal and there are several files."""
    console = Console(stderr=True)
    is_off = files < 2 or not console.is_terminal
    with ProgressBar(console=console, transient=True, disable=is_off) as bar:
        task = bar.add_task("starting")

        def show(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of, refresh=True)

        yield show


def _counted(classes: int) -> str:
    return "1 class" if classes == 1 else f"{classes} classes"


def _output() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _say(console: Console, text: str, style: str = "", end: str = "\n") -> None:
    """Print a text as it is; rich would turn its tabs into spaces."""
    if style and console.is_terminal:
        console.print(Text(text), style=style, soft_wrap=True, end=end)
    else:
        console.file.write(f"{text}{end}")

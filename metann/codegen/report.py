"""What the maintainers' command prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metann.codegen.model import ClassPlan, LibraryPlan
from metann.codegen.write import Change, FileChange

COMMAND = "python tools/generate.py"


def print_list(plan: LibraryPlan, console: Console) -> None:
    """Every class on a line of its own: how its counterpart comes about, or why there is none."""
    lines = [(layer.original, layer.how) for file in plan.files for layer in file.layers]
    lines += [(item.original, f"skipped: {item.why}") for item in plan.skipped]
    width = max(len(original) for original, _ in lines)
    for original, how in lines:
        console.print(Text(f"{original:<{width}}  {how}"), soft_wrap=True)
    console.print(Text(_totals(plan)), soft_wrap=True)


def print_summary(plan: LibraryPlan, changes: Sequence[FileChange], console: Console) -> None:
    """A table of the files, and one line of totals."""
    layers = {f"{file.name}.py": file.layers for file in plan.files}
    table = Table("file", "layers", "written out", "delegating", "state")
    for item in changes:
        mine = layers.get(item.path.name, ())
        delegating = sum(not _is_written_out(layer, plan) for layer in mine)
        written = len(mine) - delegating
        table.add_row(
            item.path.name, str(len(mine)), str(written), str(delegating), _done(item.change)
        )
    console.print(table)
    console.print(Text(_totals(plan)), soft_wrap=True)


def print_outdated(changes: Iterable[FileChange], console: Console) -> None:
    """Name what is missing, changed, orphaned or foreign, after the diff of it all."""
    outdated = [item for item in changes if item.change is not Change.NONE]
    print_diff(outdated, console)
    for item in outdated:
        console.print(Text(f"{item.path.name}: {item.change.value}"), soft_wrap=True)
    if any(item.change is Change.FOREIGN for item in outdated):
        print_foreign(outdated, console)
    if mendable := [item for item in outdated if item.change is not Change.FOREIGN]:
        folder = mendable[0].path.parent.name
        console.print(Text(f"{folder}/ is out of date; run `{COMMAND}`"), soft_wrap=True)
        console.print(Text(what_to_do(mendable)), soft_wrap=True)


def what_to_do(changes: Sequence[FileChange]) -> str:
    """What to do beside running the command: it depends on whether an edit would be lost."""
    commit = "Commit what it writes together with the change that is behind it."
    if not any(item.change is Change.UPDATED for item in changes):
        return commit
    return (
        "If you have edited one of these files: the command undoes that (lines with - above). Make "
        f"the edit in templates/ or metann/codegen/ instead. {commit}"
    )


def print_diff(changes: Iterable[FileChange], console: Console) -> None:
    """A unified diff from the files as they are to what they should be."""
    for item in changes:
        if item.change is not Change.FOREIGN:
            console.print(Text(item.diff()), soft_wrap=True, end="")


def print_foreign(changes: Iterable[FileChange], console: Console) -> None:
    """Say what to do about files that the generator did not write."""
    for item in changes:
        if item.change is Change.FOREIGN:
            text = f"{item.path.name} was not written by the generator; move it to another folder"
            console.print(Text(text), soft_wrap=True)


def print_other_torch(versions: Sequence[str], plan: LibraryPlan, console: Console) -> None:
    """Tell files for another torch apart from files that are out of date."""
    text = (
        f"generated from torch {', '.join(versions)}, this is torch {plan.torch_version}: install "
        f"that torch to check the files, or run `{COMMAND}` to generate them from this one"
    )
    console.print(Text(text), soft_wrap=True)


def _done(change: Change) -> str:
    """Example: a file that was missing is now "created"."""
    done = {Change.CREATED: "created", Change.UPDATED: "updated", Change.REMOVED: "removed"}
    return done.get(change, change.value)


def _totals(plan: LibraryPlan) -> str:
    """Example: "166 counterparts from torch 2.13.0: 119 written out, 47 delegating; 2 skipped"."""
    layers = [layer for file in plan.files for layer in file.layers]
    counts = Counter(_is_written_out(layer, plan) for layer in layers)
    return (
        f"{len(layers)} counterparts from torch {plan.torch_version}: "
        f"{counts[True]} written out, {counts[False]} delegating; {len(plan.skipped)} skipped"
    )


def _is_written_out(layer: ClassPlan, plan: LibraryPlan) -> bool:
    """Whether its own forward, or the one it inherits, is written out."""
    if layer.forward_of:
        layers = [item for file in plan.files for item in file.layers]
        base = next(item for item in layers if item.original == layer.forward_of)
        return _is_written_out(base, plan)
    return not layer.why_delegates

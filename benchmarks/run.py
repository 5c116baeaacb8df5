"""Run every benchmark, or those that are named, and write docs/benchmarks.md anew.

    python benchmarks/run.py
    python benchmarks/run.py overhead import

Each part is a process of its own: what happens to one is nothing to the others. Its figures are put
beside those of the other parts, which are kept in docs/benchmarks/results.json, as soon as it is
done. A part that fails keeps the figures that it had, and the page says that it failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import plots
import typer
from machine import Taken, load, this_machine, today
from page import page
from parts import PARTS, Part, UnknownPartError, chosen
from records import Record, Records, merged, read, write
from rich.console import Console
from tables import from_json, limits_of

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
DOCS = REPOSITORY / "docs"
WITH_FULL = 5  # times as long a part may take


def run_part(part: Part, full: bool, folder: Path = HERE) -> Record:
    """Run one program to its end, and read its figures."""
    with TemporaryDirectory() as scratch:
        file, began, busy = Path(scratch) / "figures.json", time.monotonic(), load()
        command = [sys.executable, *part.arguments(full), "--json", str(file)]
        ended = ending(command, folder, part.minutes * 60 * (WITH_FULL if full else 1))
        if not file.is_file():
            return Record(part.command(full), failure=without_paths(ended))
        tables = from_json(json.loads(file.read_text(encoding="utf-8")))
    seconds = round(time.monotonic() - began, 1)
    return Record(
        part.command(full), Taken(today(), busy, seconds, this_machine(REPOSITORY)), tables
    )


def ending(command: Sequence[str], folder: Path, seconds: float) -> str:
    """The last words of a program, or that it was ended."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdout=None, stderr=subprocess.PIPE, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"ended after {seconds / 60:g} minutes"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip(" │╰─╯")]
    return f"exit status {done.returncode}: {lines[-1] if lines else 'it said nothing'}"


def without_paths(message: str) -> str:
    """A message that does not tell where things lie on this machine."""
    for place in (REPOSITORY, Path(sys.prefix), Path.home()):
        message = message.replace(f"{place}/", "")
    return message.replace("`", "'")


def render(records: Records, docs: Path) -> None:
    """Write the page and its figures."""
    folder = docs / "benchmarks"
    tables = {name: record.tables for name, record in records.items() if record.tables}
    if "overhead" in tables:
        plots.draw_overhead(tables["overhead"], folder / "overhead.png")
    if "meta-step" in tables:
        plots.draw_meta_step(tables["meta-step"], folder / "meta_step.png")
    if "memory" in tables:
        plots.draw_memory(tables["memory"][0], folder / "memory.png")
    (docs / "benchmarks.md").write_text(page(records), encoding="utf-8")


def run(parts: Sequence[Part], full: bool, docs: Path, folder: Path = HERE) -> list[str]:
    """Run the parts, keep what they find after each; the names of those that failed."""
    console, file, failed = Console(), docs / "benchmarks" / "results.json", list[str]()
    for number, part in enumerate(parts, 1):
        console.rule(f"{number} of {len(parts)}: {part.name}")
        record = run_part(part, full, folder)
        records = merged(read(file), part.name, record)
        write(records, file)
        render(records, docs)
        if record.failure:
            failed.append(part.name)
            console.print(f"{part.name} failed: {record.failure}", markup=False)
        elif record.taken is not None:
            console.print(f"{part.name}: {record.taken.seconds:.0f} s")
    return failed


def say_what_was_missed(records: Records) -> None:
    """Name every limit that is not kept."""
    missed = [
        replace(limit, what=f"{part.name}: {limit.what}")
        for part in PARTS
        if part.name in records
        for limit in limits_of(records[part.name].tables)
        if not limit.kept
    ]
    for limit in missed:
        print(f"missed: {limit.what}: {limit.found:.3g}, at most {limit.most:g}")


def main(
    parts: Annotated[list[str] | None, typer.Argument(help="Which; all if none is named.")] = None,
    full: Annotated[bool, typer.Option("--full", help="As long as it takes: hours.")] = False,
    page_only: Annotated[bool, typer.Option("--page", help="Run nothing, write the page.")] = False,
    docs: Annotated[Path, typer.Option(help="Where the page is written.")] = DOCS,
    list_parts: Annotated[bool, typer.Option("--list", help="Say what there is.")] = False,
) -> None:
    """Run the benchmarks and write docs/benchmarks.md; exit with 1 if one came to no end.

    A limit that is missed is shown as missed, here and on the page; it is no failure of the run.
    """
    try:
        these = chosen(parts or [])
    except UnknownPartError as error:
        raise typer.BadParameter(str(error)) from error
    if list_parts:
        for part in these:
            print(f"{part.name:<12} {part.command(full)}")
        return
    began = time.monotonic()
    failed = [] if page_only else run(these, full, docs)
    records = read(docs / "benchmarks" / "results.json")
    render(records, docs)
    say_what_was_missed(records)
    print(
        f"{time.monotonic() - began:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)

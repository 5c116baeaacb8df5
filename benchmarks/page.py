"""docs/benchmarks.md, written from the records and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from machine import Machine, Taken
from parts import PARTS, Part
from records import Record, Records
from tables import Table, limits_of, shown

INTRODUCTION = """\
# Benchmarks

Every figure on this page was written here by one command, which also draws the plots:

```sh
make benchmarks                              # all of it, in an environment of its own
python benchmarks/run.py                     # the same, in an environment that is there
python benchmarks/run.py overhead import     # these parts alone; the others keep their figures
python benchmarks/run.py --full              # as long as it takes: hours
```

Below each heading stands the command that gives its figures alone. Other libraries are imported
where they are found, and are measured in the same process, in turn; what is missing is said to be.
This installs them, in an environment that you may throw away:

```sh
python -m venv .venv-peers
.venv-peers/bin/pip install -c constraints.txt -e '.[dev]' -r benchmarks/peers/requirements.txt
.venv-peers/bin/python benchmarks/run.py
```

Ratios are taken within a round and their median is shown, so that a busy machine disturbs them
less than it does times. Numbers have three digits, of which the last means little.
"""

MISSED = """\
Limits were set before there was anything to measure. What is missed is shown as it is. Of Conv4
with 32 tasks the default command takes one round, in which whatever else the machine does counts in
full; `python benchmarks/meta_step.py --only "32 tasks" --rounds 3` takes more. How many there were
stands above each table.

- `torch.func`: `vmap(grad)` takes about twice as long as products written by hand. To take half of
  its time would be to be as fast as those; a few layers of functions stand between.
- The wheel is source that is meant to be read, docstrings included. A quarter of it is the
  generator for your own modules, a tenth the names of other libraries; to leave out both would not
  be enough.
"""


def page(records: Records) -> str:
    """The whole page."""
    known = [(part, records[part.name]) for part in PARTS if part.name in records]
    newest = newest_machine(records.values())
    blocks = [INTRODUCTION]
    if newest is not None:
        blocks.append("\n".join(["## The machine", "", *machine_lines(newest), ""]))
    blocks.append("\n".join(["## What is promised", "", *promise_lines(known), "", MISSED]))
    blocks += ["\n".join(section(part, record, newest)) for part, record in known]
    return "\n".join(blocks)


# ── the machine ──────────────────────────────────────────────────────────────────────────────


def newest_machine(records: Iterable[Record]) -> Machine | None:
    """Where figures were taken last."""
    taken = [record.taken for record in records if record.taken is not None]
    return max(taken, key=lambda each: each.day).machine if taken else None


def machine_lines(machine: Machine) -> list[str]:
    """What is known of it, a line each."""
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return [
        f"- processor: {machine.processor}, {machine.cores} cores for this process",
        f"- memory: {machine.memory:g} GiB",
        f"- system: {machine.system}",
        f"- versions: {versions}",
        "- torch's threads: one, where nothing else is said",
    ]


def taken_line(taken: Taken, newest: Machine | None) -> str:
    """When a part was run; and where, if that was elsewhere."""
    line = f"Taken on {taken.day} in {taken.seconds:.0f} s; load before it {taken.load:g}."
    if taken.machine == newest:
        return line
    versions = " ".join(machine_lines(taken.machine)[3:4]).removeprefix("- ")
    return f"{line} On another machine or other versions: {taken.machine.processor}; {versions}."


# ── tables ───────────────────────────────────────────────────────────────────────────────────


def promise_lines(known: Sequence[tuple[Part, Record]]) -> list[str]:
    """Every limit that metann sets itself, kept or missed."""
    rows = [
        [
            f"[{part.title}](#{anchor(part)})",
            limit.what,
            shown(limit.found),
            f"{limit.most:g}",
            limit.verdict if limit.kept else f"**{limit.verdict}**",
        ]
        for part, record in known
        for limit in limits_of(record.tables)
    ]
    return grid(["part", "what", "found", "at most", ""], rows)


def anchor(part: Part) -> str:
    """The fragment of a part's heading."""
    letters = (c for c in part.title.lower().replace(" ", "-") if c.isalnum() or c == "-")
    return "".join(letters)


def section(part: Part, record: Record, newest: Machine | None) -> Iterator[str]:
    """One part: what is measured, how, when, and its tables."""
    yield from (f"## {part.title}", "", part.text, "", "```sh", record.command, "```", "")
    if record.failure:
        yield from (f"**The last run came to no end:** `{record.failure}`", "")
    if record.taken is not None:
        yield from (taken_line(record.taken, newest), "")
    for table in record.tables:
        yield from table_lines(table)
    if part.figure and record.tables:
        yield from (f"![{part.title}](benchmarks/{part.figure})", "")


def table_lines(table: Table) -> Iterator[str]:
    """A title, the table, a note."""
    yield from (f"**{table.title}**" + (f" ({table.note})" if table.note else ""), "")
    yield from grid(table.headings, table.lines)
    yield ""


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of markdown."""
    numbers = len(headings) - 1
    lines = [line_of(headings), line_of(["---", *["---:"] * numbers])]
    return [*lines, *map(line_of, rows)]


def line_of(cells: Sequence[str]) -> str:
    """Example: "| a | b |"."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

"""What a benchmark finds, as data: tables of figures, some of which are held against a limit.

Every program in this folder makes such tables, shows them, and writes them to a file for `run.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table as Shown

# A number keeps all its digits until it is shown; None is an empty cell.
Cell = str | int | float | None
DIGITS = 3
NOT_INSTALLED = "not installed"

#: The option of every program here.
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file, too.")]


@dataclass(frozen=True)
class Limit:
    """What metann promises of one figure: `found` is to be at most `most`."""

    what: str
    found: float
    most: float
    unit: str = ""

    @property
    def kept(self) -> bool:
        """Whether the promise holds; of what is no number, it does not."""
        return self.found <= self.most

    @property
    def verdict(self) -> str:
        """Example: "kept"."""
        return "kept" if self.kept else "missed"


@dataclass(frozen=True)
class Row:
    """One line: a cell for each column of its table, and perhaps a limit."""

    cells: tuple[Cell, ...]
    limit: Limit | None = None


@dataclass(frozen=True)
class Table:
    """Figures of one kind; the note says how they were taken, where that is not plain."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def headings(self) -> list[str]:
        """The columns, and two more if some row has a limit."""
        return [*self.columns, *(["limit", ""] if self.has_limits else [])]

    @property
    def lines(self) -> list[list[str]]:
        """The cells of every row as text, as many as there are headings."""
        return [[*map(shown, row.cells), *self._limit_of(row)] for row in self.rows]

    @property
    def has_limits(self) -> bool:
        """Whether some row has a limit."""
        return any(row.limit for row in self.rows)

    def _limit_of(self, row: Row) -> list[str]:
        if row.limit is None:
            return ["", ""] if self.has_limits else []
        return [f"≤ {row.limit.most:g}", row.limit.verdict]


def shown(cell: Cell) -> str:
    """A cell as text: whole numbers as they are, others with three digits.

    Example: 0.09942 -> "0.0994", 23.46 -> "23.5", 1450.3 -> "1450"
    """
    if cell is None or isinstance(cell, (str, int)):
        return "" if cell is None else str(cell)
    if not math.isfinite(cell) or not cell:
        return f"{cell:g}"
    return f"{cell:.{max(0, DIGITS - 1 - math.floor(math.log10(abs(cell))))}f}"


def limits_of(tables: Iterable[Table]) -> list[Limit]:
    """Every limit in some tables, in their order."""
    return [row.limit for table in tables for row in table.rows if row.limit is not None]


# ── to and from a file ───────────────────────────────────────────────────────────────────────


def to_json(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """As `json` takes it; `from_json` gives the same tables back."""
    return [asdict(table) for table in tables]


def from_json(tables: Sequence[Mapping[str, Any]]) -> tuple[Table, ...]:
    """The tables that `to_json` was given."""
    return tuple(
        Table(
            table["title"], tuple(table["columns"]), tuple(map(_row, table["rows"])), table["note"]
        )
        for table in tables
    )


def _row(row: Mapping[str, Any]) -> Row:
    limit = row["limit"]
    return Row(tuple(row["cells"]), None if limit is None else Limit(**limit))


# ── the end of a program ─────────────────────────────────────────────────────────────────────


def finish(tables: Sequence[Table], json_file: Path | None, shown: bool = False) -> NoReturn:
    """Show the tables, if they are not shown, and write them to the file, if there is one.

    Raises:
        typer.Exit: with 1 if a limit was missed, else with 0.
    """
    for table in () if shown else tables:
        show(table)
    if json_file is not None:
        json_file.write_text(json.dumps(to_json(tables), indent=1), encoding="utf-8")
    raise typer.Exit(0 if all(limit.kept for limit in limits_of(tables)) else 1)


def show(table: Table) -> None:
    """Print one table."""
    grid = Shown(*table.headings, title=table.title, caption=table.note or None)
    for line in table.lines:
        grid.add_row(*line)
    Console(width=130).print(grid)

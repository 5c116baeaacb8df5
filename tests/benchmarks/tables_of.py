"""What is in a table, for the tests of the programs that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tables import Cell, Table


def names_in(table: Table) -> list[Cell]:
    return [row.cells[0] for row in table.rows]


def numbers_in(table: Table) -> list[float]:
    cells = [cell for row in table.rows for cell in row.cells[1:]]
    return [cell for cell in cells if isinstance(cell, (int, float))]

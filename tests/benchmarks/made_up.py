"""Figures that nobody has measured, for the tests of what is written about figures."""

from __future__ import annotations

from machine import Machine, Taken
from records import Record
from tables import Limit, Row, Table

MACHINE = Machine("A processor", 2, 7.5, "Linux", {"torch": "2.13.0", "higher": "not installed"})
TAKEN = Taken("2026-01-02", 0.25, 12.4, MACHINE)


def table(found: float, title: str = "a net") -> Table:
    rows = (
        Row(("plain", 23.456, 1.0)),
        Row(("Learner.functional", 24.0, found), Limit(f"{title}: ours / plain", found, 1.2)),
        Row(("higher", "not installed", None)),
    )
    return Table(title, ("call", "median µs", "ratio"), rows, "1 thread")


def record(found: float) -> Record:
    return Record("python benchmarks/overhead.py --rounds 150", TAKEN, (table(found),))

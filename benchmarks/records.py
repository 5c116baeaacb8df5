"""What every part found when it was last run, kept in one file so that one can be run alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from machine import Machine, Taken
from tables import Table, from_json, to_json


@dataclass(frozen=True)
class Record:
    """The figures of a part.

    Attributes:
        command: what gives these figures.
        taken: when and where; None if it has never come to an end.
        tables: empty if it has never come to an end.
        failure: why a later run has come to no end; "" if there was none.
    """

    command: str
    taken: Taken | None = None
    tables: tuple[Table, ...] = ()
    failure: str = ""


Records = Mapping[str, Record]  # by the names of the parts


def merged(old: Records, name: str, new: Record) -> dict[str, Record]:
    """The new record in the old one's place; of a failed run, only that it failed."""
    before = old.get(name)
    if new.failure and before is not None:
        new = Record(before.command, before.taken, before.tables, new.failure)
    return {**old, name: new}


def read(file: Path) -> dict[str, Record]:
    """The records in a file; none if there is no file."""
    if not file.is_file():
        return {}
    return {name: _record(x) for name, x in json.loads(file.read_text(encoding="utf-8")).items()}


def write(records: Records, file: Path) -> None:
    """Put the records into a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({name: _plain(record) for name, record in records.items()}, indent=1) + "\n",
        encoding="utf-8",
    )


def _plain(record: Record) -> dict[str, Any]:
    return {**asdict(record), "tables": to_json(record.tables)}


def _record(plain: Mapping[str, Any]) -> Record:
    taken: dict[str, Any] | None = plain["taken"]
    return Record(
        plain["command"],
        None if taken is None else _taken(**taken),
        from_json(plain["tables"]),
        plain["failure"],
    )


def _taken(day: str, load: float, seconds: float, machine: dict[str, Any]) -> Taken:
    return Taken(day, load, seconds, Machine(**machine))

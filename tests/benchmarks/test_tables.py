"""Figures as data: what is shown of them, and that a file gives them back."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import typer


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.09942, "0.0994"),
        (23.456, "23.5"),
        (1450.3, "1450"),
        (-0.5, "-0.500"),
        (0.0, "0"),
        (math.inf, "inf"),
        (1450, "1450"),
        ("kept", "kept"),
        (None, ""),
    ],
)
def test_numbers_have_three_digits_and_whole_ones_all(cell: float | str | None, text: str) -> None:
    from tables import shown

    assert shown(cell) == text


def test_a_row_with_a_limit_says_whether_it_is_kept_by_the_number_and_not_by_its_digits() -> None:
    from made_up import table

    assert table(1.2).lines[1][-2:] == ["≤ 1.2", "kept"]
    assert table(1.2001).lines[1][-2:] == ["≤ 1.2", "missed"]
    assert table(1.2).lines[0][-2:] == ["", ""]


def test_no_number_keeps_no_limit() -> None:
    from tables import Limit

    assert Limit("a ratio", math.nan, 1.0).verdict == "missed"


def test_a_table_without_limits_has_no_column_for_them() -> None:
    from tables import Row, Table

    table = Table("sizes", ("part", "kB"), (Row(("all", 3)),))

    assert table.headings == ["part", "kB"]
    assert table.lines == [["all", "3"]]


def test_a_file_gives_the_same_tables_back() -> None:
    from made_up import table
    from tables import from_json, to_json

    tables = (table(1.1), table(0.3, "another net"))

    assert from_json(json.loads(json.dumps(to_json(tables)))) == tables


@pytest.mark.parametrize(("found", "status"), [(1.1, 0), (1.3, 1)])
def test_a_program_ends_with_1_if_a_limit_is_missed_and_writes_its_file_in_any_case(
    found: float, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from made_up import table
    from tables import finish, from_json

    with pytest.raises(typer.Exit) as ended:
        finish([table(found)], tmp_path / "figures.json")

    assert ended.value.exit_code == status
    assert from_json(json.loads((tmp_path / "figures.json").read_text())) == (table(found),)
    assert "Learner.functional" in capsys.readouterr().out

"""One part can be run again: the figures of the others stay as they are."""

from __future__ import annotations

from pathlib import Path


def test_a_part_that_is_run_again_takes_the_place_of_its_older_figures() -> None:
    from made_up import record
    from records import merged

    old = {"overhead": record(1.1), "wheel": record(0.5)}

    assert merged(old, "overhead", record(1.3)) == {"overhead": record(1.3), "wheel": record(0.5)}
    assert old["overhead"] == record(1.1)


def test_a_part_that_fails_keeps_the_figures_that_it_had() -> None:
    from made_up import TAKEN, record, table
    from records import Record, merged

    after = merged({"overhead": record(1.1)}, "overhead", Record("python x.py", failure="died"))

    assert after["overhead"].tables == (table(1.1),)
    assert after["overhead"].taken == TAKEN
    assert after["overhead"].command == record(1.1).command, "that of the figures"
    assert after["overhead"].failure == "died"


def test_the_next_run_that_ends_well_takes_the_failure_away() -> None:
    from made_up import record
    from records import Record, merged

    failed = merged({}, "overhead", Record("python x.py", failure="died"))

    assert failed["overhead"].failure == "died"
    assert merged(failed, "overhead", record(1.0)) == {"overhead": record(1.0)}


def test_a_file_gives_the_same_records_back(tmp_path: Path) -> None:
    from made_up import record
    from records import Record, read, write

    records = {"overhead": record(1.1), "wheel": Record("python w.py", failure="died")}
    write(records, tmp_path / "new" / "results.json")

    assert read(tmp_path / "new" / "results.json") == records
    assert read(tmp_path / "no such file") == {}

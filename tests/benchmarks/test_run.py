"""The command: each part is a process, and one that fails costs the others nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPOSITORY

GOOD = """
import json, sys
row = {"cells": ["plain", 12.5, 1.0], "limit": None}
limited = {"cells": ["ours", 99.0, 9.0],
           "limit": {"what": "ours / plain", "found": 9.0, "most": 2.0, "unit": ""}}
table = {"title": "a net", "columns": ["call", "µs", "ratio"], "rows": [row, limited], "note": ""}
with open(sys.argv[sys.argv.index("--json") + 1], "w") as file:
    json.dump([table], file)
sys.exit(1)  # a limit was missed
"""
BAD = "raise RuntimeError('out of `luck` in {place}/thing')"
ENDLESS = "import time; time.sleep(100)"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(REPOSITORY / "benchmarks" / "run.py"), *arguments]
    return subprocess.run(program, capture_output=True, text=True)


def test_an_unknown_part_is_an_error_that_names_those_there_are() -> None:
    from parts import PARTS, UnknownPartError, chosen

    names = ", ".join(sorted(part.name for part in PARTS))
    with pytest.raises(UnknownPartError) as error:
        chosen(["overhead", "speed"])

    assert str(error.value) == (f"no part of the benchmarks is called speed; there are {names}")


def test_the_command_says_so_too_and_runs_nothing(tmp_path: Path) -> None:
    done = command("speed", "--docs", str(tmp_path))

    assert done.returncode == 2
    assert "no part of the benchmarks is called speed" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_parts_are_run_in_the_order_of_the_page_and_no_name_means_all() -> None:
    from parts import PARTS, chosen

    assert [part.name for part in chosen(["wheel", "overhead"])] == ["overhead", "wheel"]
    assert chosen([]) == PARTS


def test_a_part_that_fails_costs_the_others_nothing_and_the_page_says_so(tmp_path: Path) -> None:
    from parts import Part
    from records import read
    from run import run

    folder, docs = tmp_path / "programs", tmp_path / "docs"
    folder.mkdir()
    (folder / "good.py").write_text(GOOD, encoding="utf-8")
    (folder / "bad.py").write_text(BAD.format(place=REPOSITORY), encoding="utf-8")
    parts = [Part("wheel", "?", "?", "bad.py"), Part("overhead", "?", "?", "good.py")]
    docs.mkdir()
    failed = run(parts, False, docs, folder)
    records, text = read(docs / "benchmarks" / "results.json"), (docs / "benchmarks.md").read_text()

    assert failed == ["wheel"]
    assert records["wheel"].failure == "exit status 1: RuntimeError: out of 'luck' in thing"
    assert records["wheel"].tables == ()
    assert [row.cells[0] for row in records["overhead"].tables[0].rows] == ["plain", "ours"]
    assert records["overhead"].failure == "", "a limit that is missed is no failure"
    assert "| ours | 99.0 | 9.00 | ≤ 2 | missed |" in text
    assert "out of 'luck' in thing" in text
    assert (docs / "benchmarks" / "overhead.png").read_bytes().startswith(b"\x89PNG")


def test_a_part_that_does_not_end_is_ended(tmp_path: Path) -> None:
    from parts import Part
    from run import run_part

    (tmp_path / "endless.py").write_text(ENDLESS, encoding="utf-8")
    record = run_part(Part("wheel", "?", "?", "endless.py", minutes=0.01), False, tmp_path)

    assert record.failure == "ended after 0.01 minutes"
    assert record.tables == ()


def test_the_page_is_written_again_without_running_anything(tmp_path: Path) -> None:
    from made_up import record
    from records import write

    write({"wheel": record(1.3)}, tmp_path / "benchmarks" / "results.json")
    done = command("--page", "--docs", str(tmp_path))

    assert done.returncode == 0
    assert "missed: wheel: a net: ours / plain: 1.3, at most 1.2" in done.stdout
    assert "## The wheel" in (tmp_path / "benchmarks.md").read_text()


def test_full_gives_a_part_other_options() -> None:
    from parts import Part

    part = Part("memory", "?", "?", "memory.py", ("steps", "--most", "5"), full=("steps",))

    assert part.command(full=False) == "python benchmarks/memory.py steps --most 5"
    assert part.command(full=True) == "python benchmarks/memory.py steps"


def test_the_machine_is_described_without_its_name_and_without_paths() -> None:
    import platform

    from machine import this_machine

    described = str(this_machine(REPOSITORY))

    assert platform.node() not in described
    assert "/" not in described.replace(platform.processor(), "")

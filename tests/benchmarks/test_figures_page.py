"""The page is written from the records alone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from repository import REPOSITORY


def test_a_part_has_its_command_its_time_its_table_and_its_figure() -> None:
    from made_up import record
    from page import page

    text = page({"overhead": record(1.1)})

    assert "## A call with other weights" in text
    assert "```sh\npython benchmarks/overhead.py --rounds 150\n```" in text
    assert "Taken on 2026-01-02 in 12 s; load before it 0.25." in text
    assert "| Learner.functional | 24.0 | 1.10 | ≤ 1.2 | kept |" in text
    assert "| higher | not installed |  |  |  |" in text
    assert "(benchmarks/overhead.png)" in text
    assert "First-order" not in text, "it has not been run"


def test_the_machine_is_described_once() -> None:
    from made_up import record
    from page import page

    text = page({"overhead": record(1.1), "wheel": record(0.5)})

    assert "- processor: A processor, 2 cores for this process\n- memory: 7.5 GiB" in text
    assert "torch 2.13.0, higher not installed" in text
    assert text.count("A processor") == 1


def test_a_part_that_was_run_elsewhere_says_where() -> None:
    from made_up import MACHINE, TAKEN, record
    from page import page

    newer = replace(TAKEN, day="2026-02-01", machine=replace(MACHINE, processor="Another one"))
    text = page({"overhead": record(1.1), "wheel": replace(record(0.5), taken=newer)})

    assert "- processor: Another one" in text
    assert "load before it 0.25. On another machine or other versions: A processor; vers" in text


@pytest.mark.parametrize(("found", "verdict"), [(1.1, "kept"), (1.3, "**missed**")])
def test_every_limit_stands_in_one_table_kept_or_missed(found: float, verdict: str) -> None:
    from made_up import record
    from page import page

    text = page({"overhead": record(found)})

    line = f"| [A call with other weights](#a-call-with-other-weights) | a net: ours / plain | {found:.2f} | 1.2 | {verdict} |"  # noqa: E501
    assert line in text.splitlines()


def test_a_failed_run_stands_above_the_figures_of_an_older_one() -> None:
    from made_up import record
    from page import page

    text = page({"overhead": replace(record(1.1), failure="exit status 3: KeyError: 'x'")})

    assert "**The last run came to no end:** `exit status 3: KeyError: 'x'`" in text
    assert "| Learner.functional | 24.0 |" in text


def test_a_line_of_a_table_is_not_broken_by_what_is_in_a_cell() -> None:
    from page import line_of

    assert line_of(["a|b", "c"]) == r"| a\|b | c |"


def test_no_two_parts_have_one_name_or_one_heading_and_all_programs_are_there() -> None:
    from page import anchor
    from parts import PARTS

    assert len({part.name for part in PARTS}) == len(PARTS)
    assert len({anchor(part) for part in PARTS}) == len(PARTS)
    assert all((REPOSITORY / "benchmarks" / part.program).is_file() for part in PARTS)


def test_every_program_with_figures_is_a_part() -> None:
    from parts import PARTS

    programs = {
        path.name
        for path in (REPOSITORY / "benchmarks").glob("*.py")
        if "json_file: Json" in path.read_text(encoding="utf-8")
    }

    assert programs == {part.program for part in PARTS}


def test_the_page_in_the_tree_is_what_its_records_give() -> None:
    from page import page
    from records import read

    docs = REPOSITORY / "docs"
    text = (docs / "benchmarks.md").read_text(encoding="utf-8")

    assert (
        page(read(docs / "benchmarks" / "results.json")) == text
    ), "run `python benchmarks/run.py --page`"


def test_every_figure_of_the_page_is_there_and_small() -> None:
    docs = REPOSITORY / "docs"
    names = re.findall(r"\((benchmarks/\w+\.png)\)", (docs / "benchmarks.md").read_text())

    assert {name: (docs / name).stat().st_size < 60_000 for name in names} == dict.fromkeys(
        names, True
    )

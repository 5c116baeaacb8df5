"""tools/check.py runs what it is asked to, reports every failure, and ends with pytest's count."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from repository import REPOSITORY


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/check.py as a module."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    import check

    return check


def a_check(check: ModuleType, name: str, code: str) -> object:
    return check.Check(name, (sys.executable, "-c", code), f"mend {name}")


def test_all_checks_are_run_and_every_failure_is_reported(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = (
        a_check(check, "format", "raise SystemExit(1)"),
        a_check(check, "lint", "print('all well')"),
        a_check(
            check, "tests", "print('=== 3 passed, 1 failed in 0.12s ==='); raise SystemExit(1)"
        ),
    )
    monkeypatch.setattr(check, "CHECKS", checks)

    assert check.main([]) == 1

    summary = capsys.readouterr().out.partition("summary")[2]
    words = [line.split() for line in summary.splitlines()]
    assert [line[0] for line in words if "FAILED" in line] == ["format", "tests"]
    assert [line[0] for line in words if "ok" in line] == ["lint"]
    assert "mend format" in summary
    assert summary.splitlines()[-1] == "3 passed, 1 failed in 0.12s"


WAITS = """
import sys, time
from pathlib import Path
mine, other = Path("{mine}"), Path("{other}")
print("{mine} begins", flush=True)
mine.touch()
end = time.monotonic() + 120
while not other.exists():
    assert time.monotonic() < end, "alone"
    time.sleep(0.01)
print("{mine} ends")
"""


def test_checks_run_side_by_side_and_what_each_prints_stands_together(
    check: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    first, second = str(tmp_path / "a"), str(tmp_path / "b")
    checks = (
        a_check(check, "format", WAITS.format(mine=first, other=second)),
        a_check(check, "lint", WAITS.format(mine=second, other=first)),
    )
    monkeypatch.setattr(check, "CHECKS", checks)
    monkeypatch.setattr(check.os, "cpu_count", lambda: 2)

    assert check.main([]) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(first[:-1])]
    assert lines == [f"{file} {does}" for file in (first, second) for does in ("begins", "ends")]


def test_the_tests_are_shown_as_they_go_when_the_other_checks_have_ended(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    slow = "import time; time.sleep(0.5); print('has been read')"
    checks = (
        a_check(check, "tests", "print('3 passed in 0.12s')"),
        a_check(check, "lint", slow),
    )
    monkeypatch.setattr(check, "CHECKS", checks)

    assert check.main([]) == 0

    lines = capfd.readouterr().out.splitlines()
    assert lines.index("has been read") < lines.index("3 passed in 0.12s")
    assert lines[-1] == "3 passed in 0.12s"


@pytest.mark.parametrize("name", ["lint", "tests"])
def test_without_its_environment_it_says_which_to_activate(
    name: str,
    check: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = check.Check(name, (sys.executable, "-m", "no_such_linter", "check"), "mend it")
    monkeypatch.setattr(check, "CHECKS", (missing,))

    assert check.main([]) == 1

    printed = capsys.readouterr().out
    assert f"no_such_linter is not installed for {sys.executable}\n" in printed
    assert "activate the environment that `make check` makes: `. .venv-dev/bin/activate`" in printed
    assert "mend it" not in printed


def test_tests_that_cannot_be_counted_are_one_failure(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "CHECKS", (a_check(check, "tests", "raise SystemExit(3)"),))

    assert check.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 1 failed"


def test_a_check_is_chosen_by_its_name(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = (a_check(check, "format", "print('ran')"), a_check(check, "lint", "print('no')"))
    monkeypatch.setattr(check, "CHECKS", checks)
    monkeypatch.setattr(check, "NAMES", ("format", "lint"))

    assert check.main(["format"]) == 0

    out = capsys.readouterr().out
    assert "ran" in out
    assert "no\n" not in out


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "tools/check.py", "typos"], cwd=REPOSITORY, capture_output=True, text=True
    )

    assert done.returncode == 2
    assert done.stdout == (
        "no check is called typos; there are: format, lint, types, generated, tests\n"
    )

"""tools/check.py runs what it is asked to, reports every failure, and ends with pytest's count."""

from __future__ import annotations

import subprocess
import sys
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

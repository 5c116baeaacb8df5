"""Run every check of the repository and report all failures, not the first.

`python tools/check.py` runs them all, `python tools/check.py types tests` those two, and
`--list` says what there is. Continuous integration runs this same file.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = sys.executable

#: The line with which pytest ends; the colours of a terminal may stand around its words.
CLOSING_LINE = re.compile(r"\d+ (passed|failed|errors?|skipped|deselected)\b.* in [\d.]+s")
COLOURS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Check:
    """One command, the name it is chosen by, and what to do when it fails."""

    name: str
    command: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class Outcome:
    """What came of a check."""

    check: Check
    passed: bool
    seconds: float
    closing_line: str | None


CHECKS = (
    Check("format", (PYTHON, "-m", "black", "--check", "--quiet", "."), "run `black .`"),
    Check("lint", (PYTHON, "-m", "ruff", "check"), "`ruff check --fix` mends some of it"),
    Check("types", (PYTHON, "-m", "mypy"), "mypy --strict says what is wrong above"),
    Check(
        "types",
        (PYTHON, "-m", "pyright", "--project", "pyproject.toml", "--pythonpath", PYTHON),
        "pyright in strict mode says what is wrong above",
    ),
    Check(
        "types",
        (PYTHON, "-m", "pyrefly", "check", "--python-interpreter-path", PYTHON),
        "pyrefly says what is wrong above",
    ),
    Check(
        "generated",
        (PYTHON, "tools/generate.py", "--check"),
        "run `python tools/generate.py` and commit what changes",
    ),
    Check(
        "tests",
        (PYTHON, "-m", "pytest", "-n", "2", "--dist", "worksteal", "--durations=10"),
        "`pytest --last-failed` runs the failed ones again",
    ),
)
NAMES = tuple(dict.fromkeys(check.name for check in CHECKS))


def main(arguments: Sequence[str]) -> int:
    """Run the named checks, or all; return 0 when every one of them passed."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__)
        return 0
    if "--list" in arguments:
        for check in CHECKS:
            print(f"{check.name:<10} {' '.join(check.command[1:])}")
        return 0
    if unknown := [name for name in arguments if name not in NAMES]:
        print(f"no check is called {', '.join(unknown)}; there are: {', '.join(NAMES)}")
        return 2
    chosen = [check for check in CHECKS if not arguments or check.name in arguments]
    outcomes = [run(check) for check in chosen]
    print(summary(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def run(check: Check) -> Outcome:
    """Run one check, showing its output as it comes."""
    print(f"\n── {check.name}: {' '.join(check.command[1:])}", flush=True)
    start = time.perf_counter()
    closing_line = None
    with subprocess.Popen(
        check.command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            plain = COLOURS.sub("", line)
            if check.name == "tests" and CLOSING_LINE.search(plain):
                closing_line = plain.strip().strip("= ")
    passed = process.returncode == 0
    return Outcome(check, passed, time.perf_counter() - start, closing_line)


def summary(outcomes: Sequence[Outcome]) -> str:
    """All results, one a line, with the remedy of each failure; pytest's count comes last."""
    lines = ["", "── summary"]
    for outcome in outcomes:
        word = "ok" if outcome.passed else "FAILED"
        program = label(outcome.check)
        lines.append(f"{outcome.check.name:<10} {program:<18} {word:<7} {outcome.seconds:6.1f} s")
        if not outcome.passed:
            lines.append(f"{'':<10} {outcome.check.remedy}")
    lines.extend(test_counts(outcomes))
    return "\n".join(lines)


def label(check: Check) -> str:
    """Example: (python, "-m", "black", "--check", ".") -> "black"."""
    words = [word for word in check.command[1:] if word != "-m"]
    return words[0]


def test_counts(outcomes: Sequence[Outcome]) -> list[str]:
    """The number of tests passed and failed, which continuous integration reads.

    A run that broke off before pytest could count is one failure.
    """
    ran = [outcome for outcome in outcomes if outcome.check.name == "tests"]
    return [outcome.closing_line or "0 passed, 1 failed" for outcome in ran]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

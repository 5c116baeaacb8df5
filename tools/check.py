"""Run every check of the repository and report all failures, not the first.

`python tools/check.py` runs them all, `python tools/check.py types tests` those two, and
`--list` says what there is. Continuous integration and the hooks for git run this same file.

The checks that only read run side by side, one for each processor, and each is shown when it has
ended. The tests have all processors to themselves after that, and are shown as they go.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = sys.executable

#: The line with which pytest ends; the colours of a terminal may stand around its words.
CLOSING_LINE = re.compile(r"\d+ (passed|failed|errors?|skipped|deselected)\b.* in [\d.]+s")
COLOURS = re.compile(r"\x1b\[[\d;]*m")

ACTIVATE = "activate the environment that `make check` makes: `. .venv-dev/bin/activate`"


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
    printed: str = ""


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
    outcomes = run_all(chosen)
    print(summary(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def run_all(chosen: Sequence[Check]) -> list[Outcome]:
    """Run the checks, and show what each of them prints."""
    tests = [check for check in chosen if check.name == "tests"]
    others = [check for check in chosen if check.name != "tests"]
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
        for outcome in side_by_side.map(run, others):
            print(heading(outcome.check), outcome.printed, sep="\n", end="", flush=True)
            outcomes.append(outcome)
    for check in tests:
        print(heading(check), flush=True)
        outcomes.append(run(check, show=True))
    return outcomes


def heading(check: Check) -> str:
    """Example: a check -> "── lint: -m ruff check", after an empty line."""
    return f"\n── {check.name}: {' '.join(check.command[1:])}"


def run(check: Check, show: bool = False) -> Outcome:
    """Run one check, and keep what it prints; `show` prints it as it comes, too."""
    start = time.perf_counter()
    if missing := missing_program(check):
        print(missing if show else "", end="")
        return Outcome(replace(check, remedy=ACTIVATE), False, 0.0, None, missing)
    lines: list[str] = []
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
            lines.append(line)
            if show:
                print(line, end="", flush=True)
    passed = process.returncode == 0
    seconds = time.perf_counter() - start
    return Outcome(check, passed, seconds, closing_line(check, lines), "".join(lines))


def missing_program(check: Check) -> str:
    """What to say if this Python has not installed the program that the check runs."""
    _, option, program, *_ = check.command
    if option != "-m" or find_spec(program) is not None:
        return ""
    return f"{program} is not installed for {PYTHON}\n"


def closing_line(check: Check, lines: Sequence[str]) -> str | None:
    """The line with which pytest counts the tests, if this is pytest and it came so far."""
    plain = [COLOURS.sub("", line).strip() for line in lines if check.name == "tests"]
    counts = [line.strip("= ") for line in plain if CLOSING_LINE.search(line)]
    return counts[-1] if counts else None


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

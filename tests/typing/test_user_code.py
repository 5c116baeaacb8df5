"""What a user writes has the types it should have, by every checker, and wrong use is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from checkers import CHECKERS, Finding
from marks import Error, marked

FILES = sorted((Path(__file__).resolve().parent / "user_code").glob("*.py"))

FindingsOf = Callable[[str], list[Finding]]


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_errors_are_those_that_are_marked_and_no_others(
    checker: str, findings_of: FindingsOf
) -> None:
    errors = [
        found
        for found in findings_of(checker)
        if Path(found.file).parent.name == "user_code" and found.severity != "information"
    ]
    found = {Error(Path(error.file).name, error.line, error.rule) for error in errors}
    expected = {error for file in FILES for error in marked(file, checker)}

    assert found == expected, "\n".join(str(error) for error in errors)

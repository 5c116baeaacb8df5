"""The installed package itself has no errors, and no public name without a type."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from checkers import CHECKERS, Finding


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_installed_package_has_no_errors(
    checker: str, findings_of: Callable[[str], list[Finding]]
) -> None:
    of_the_package = [found for found in findings_of(checker) if "site-packages" in found.file]

    assert [str(found) for found in of_the_package] == []


def test_every_public_name_has_a_known_type(users_folder: Path) -> None:
    """It takes the first Python on the path, whatever `--pythonpath` says."""
    options = ("--verifytypes", "metann", "--ignoreexternal", "--outputjson")
    report = json.loads(CHECKERS["pyright"].run(users_folder, *options).stdout)
    completeness = report["typeCompleteness"]

    incomplete = [
        f"{symbol['name']}: {[problem['message'] for problem in symbol['diagnostics']]}"
        for symbol in completeness["symbols"]
        if symbol["isExported"] and not (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"])
    ]
    assert incomplete == []
    assert completeness["completenessScore"] == 1
    assert completeness["exportedSymbolCounts"]["withKnownType"] > 1500

"""The README's table of claims: each has a test of the name that stands there, or a page."""

from __future__ import annotations

import ast
import re

import pytest
from repository import REPOSITORY, tree_of

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("## What stands behind each claim")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| (?P<claim>.+) \| \[(?P<shown>.+?)\]\((?P<file>.+?)\).* \|$", TABLE, re.M)


def test_every_row_has_a_claim_and_a_link():
    lines = [line for line in TABLE.splitlines() if line.startswith("| ")]

    assert len(ROWS) == len(lines) - 1, "all but the heading"
    assert len(ROWS) >= 30
    assert len({claim for claim, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("claim", "shown", "file"), ROWS)
def test_what_is_said_to_show_a_claim_is_there(claim: str, shown: str, file: str):
    name, _, heading = file.partition("#")
    path = REPOSITORY / name
    assert path.is_file(), claim

    if heading:
        lines = path.read_text(encoding="utf-8").lower().splitlines()
        assert f"##-{heading}" in {line.replace(" ", "-") for line in lines}

    if shown.startswith("`test_") and not shown.endswith(".py`"):
        functions = [node for node in tree_of(path).body if isinstance(node, ast.FunctionDef)]
        assert shown.strip("`") in {function.name for function in functions}
    elif path.suffix == ".py":
        assert shown.strip("`") == path.name

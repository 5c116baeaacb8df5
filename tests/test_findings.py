"""Each finding about other libraries that an issue promises to get right is tested by number.

A finding is what some library for meta-learning gets wrong, or its users ask for; `T02` in the
name of a test says that the test is about finding T-02.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from repository import REPOSITORY, python_files, tree_of

PROMISED = {
    "issue 2": "02 03 05 07 08 09 10 13 25 50 51 54 80 81 82 83",
    "issue 3": "05 12 20 23 24 29 33 40 41 50 57 58 60 61 62 63 84 85 86 87 88 89 90",
    "issue 5": "11 12 21 22 26 27 28 29 30 31 32 33 40 41 42 43 44 45 46 47 52 53 55 56 57 72",
}
FINDINGS = sorted({number for numbers in PROMISED.values() for number in numbers.split()})


def numbers_in(name: str) -> set[str]:
    """Example: "test_T57_T63_attention" -> {"57", "63"}."""
    return set(re.findall(r"_T(\d\d)(?=_|$)", name))


def names_in(tree: ast.AST) -> Iterator[str]:
    """The tests that pytest finds: at the top of a file, or methods of a class of tests."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield node.name
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from names_in(node)


def names_of_all_tests() -> Iterator[str]:
    for path in python_files():
        if path.is_relative_to(REPOSITORY / "tests") and path.name.startswith("test_"):
            yield from names_in(tree_of(path))


@pytest.mark.parametrize("number", FINDINGS)
def test_a_finding_has_a_test(number: str) -> None:
    assert any(number in numbers_in(name) for name in names_of_all_tests())


def test_a_number_is_read_from_a_name_only_if_it_stands_alone() -> None:
    assert numbers_in("test_T57_T63_attention") == {"57", "63"}
    assert numbers_in("test_T7_or_T570_or_aT57") == set()

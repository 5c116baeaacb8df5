"""What the pages say of files and tests is there, and the tutorial is as short as it says."""

from __future__ import annotations

import re
from functools import cache

import pytest
from fences import blocks_of
from repository import REPOSITORY, functions_of

HOW_IT_WORKS = "docs/how-it-works.md"
WITH_TESTS = ("docs/contracts.md", "docs/defects.md", "docs/refreshing.md")

NAMED_TEST = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")
WORDS_A_MINUTE = 220


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


@cache
def names_in(file: str) -> set[str]:
    return {function.name for function in functions_of(REPOSITORY / file)}


def promises() -> list[str]:
    """The bullets of the page of contracts, up to what is not promised."""
    text, _, _ = text_of("docs/contracts.md").partition("## Not promised")
    return re.findall(r"^- .*?(?=^- |^#|\Z)", text, flags=re.MULTILINE | re.DOTALL)


def test_beside_each_excerpt_of_a_template_stands_what_it_makes() -> None:
    sides = re.findall(
        r'<div class="side-by-side">\n(.*?)\n</div>', text_of(HOW_IT_WORKS), flags=re.DOTALL
    )

    assert len(sides) >= 3
    for side in sides:
        template, made = blocks_of(side)
        assert template.note == "templates/layer.py.jinja"
        assert made.note == "generated/linear.py"


@pytest.mark.parametrize("page", WITH_TESTS)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    named = NAMED_TEST.findall(text_of(page))

    assert named
    assert [(name, file) for name, file in named if name not in names_in(file)] == []


@pytest.mark.parametrize("page", WITH_TESTS)
def test_every_test_is_named_with_the_file_that_it_stands_in(page: str) -> None:
    names = re.findall(r"`(test_\w+)`", text_of(page))

    assert names == [name for name, _ in NAMED_TEST.findall(text_of(page))]


def test_every_contract_names_a_test_that_holds_it() -> None:
    assert len(promises()) >= 50
    assert [line for line in promises() if not NAMED_TEST.search(line)] == []


def test_a_page_is_read_without_the_site_as_well() -> None:
    """What stands between colons is shown as it is on a plain git web page."""
    pages = sorted((REPOSITORY / "docs").rglob("*.md"))

    assert len(pages) > 20
    assert [page.name for page in pages if "\n:::" in page.read_text(encoding="utf-8")] == []


def test_the_tutorial_is_read_in_five_minutes() -> None:
    assert len(text_of("docs/tutorial.md").split()) <= 5 * WORDS_A_MINUTE

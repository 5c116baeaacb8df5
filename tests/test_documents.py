"""The README tells the truth: its code runs, prints what it says, and quotes what there is."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from fences import Block, blocks_of
from repository import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/inner-loops.md", "docs/typed-projects.md")


@pytest.mark.parametrize("document", ["README.md", "docs/inner-loops.md"])
def test_the_code_runs_and_prints_what_stands_below_it(document: str) -> None:
    blocks = blocks_of((REPOSITORY / document).read_text(encoding="utf-8"))
    namespace: dict[str, object] = {}
    ran = 0
    for block, following in zip(blocks, [*blocks[1:], Block("", "", "")], strict=True):
        if block.language == "python" and not block.note:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(block.text, document, "exec"), namespace)
            ran += 1
            if following.note == "prints":
                assert printed.getvalue() == following.text

    assert ran >= 4


def test_what_it_quotes_stands_in_the_file() -> None:
    quotes = [block for block in blocks_of(README) if block.note.endswith(".py")]
    assert quotes

    for block in quotes:
        assert block.text in (REPOSITORY / block.note).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_leads_somewhere(document: str) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)", text)
    folder = (REPOSITORY / document).parent
    local = [link for link in links if "://" not in link]

    assert local
    assert [link for link in local if not (folder / link).exists()] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_installation_uses_the_pinned_versions(document: str) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if "pip install" in line]

    assert [line for line in commands if "-c constraints.txt" not in line] == []


def test_the_contributors_page_is_one_page() -> None:
    assert len((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60

"""The README and all pages tell the truth: their code runs, and prints and quotes what there is."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from fences import Block, blocks_of
from repository import REPOSITORY

# Brackets in code are no links.
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", flags=re.MULTILINE | re.DOTALL)

PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in (REPOSITORY / "docs").rglob("*.md")
    if path.name != "README.md"
)
DOCUMENTS = ("README.md", "CONTRIBUTING.md", *PAGES)

# Its programs are files of a project, which tests/typing/test_page.py makes and checks.
A_PROJECT = "docs/typed-projects.md"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The tensors are small: threads of several test processes would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def text_of(document: str) -> str:
    return (REPOSITORY / document).read_text(encoding="utf-8")


def programs_of(document: str) -> list[tuple[Block, Block]]:
    """Each block that is run, with the one that follows it."""
    blocks = blocks_of(text_of(document))
    pairs = pairwise([*blocks, Block("", "", "")])
    return [pair for pair in pairs if pair[0].language == "python" and not pair[0].note]


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if programs_of(name)])
def test_the_code_runs_and_prints_what_stands_below_it(document: str, one_thread: None) -> None:
    namespace: dict[str, object] = {}
    for block, following in programs_of(document):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, document, "exec"), namespace)
        if following.note == "prints":
            assert printed.getvalue() == following.text


def test_the_pages_that_show_most_have_code_that_runs() -> None:
    least = {"README.md": 10, "docs/index.md": 1, "docs/tutorial.md": 4, "docs/inner-loops.md": 4}

    assert [name for name, number in least.items() if len(programs_of(name)) < number] == []


def quotes_of(document: str) -> list[Block]:
    """The blocks that say which file they are from."""
    found = [block for block in blocks_of(text_of(document)) if "." in block.note]
    return [] if document == A_PROJECT else found


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if quotes_of(name)])
def test_what_it_quotes_stands_in_the_file(document: str) -> None:
    for block in quotes_of(document):
        assert block.text in text_of(block.note)


def test_the_readme_quotes_a_generated_file() -> None:
    assert [block.note for block in quotes_of("README.md")] == ["generated/linear.py"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_output_is_shown_that_is_not_compared(document: str) -> None:
    """A block that "prints" follows one that is run."""
    compared = [following for _, following in programs_of(document) if following.note == "prints"]
    shown = [block for block in blocks_of(text_of(document)) if block.note == "prints"]

    assert document == A_PROJECT or shown == compared


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_leads_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", CODE.sub("", text_of(document)))
    folder = (REPOSITORY / document).parent
    local = [link for link in links if "://" not in link]

    assert [link for link in local if not (folder / link).exists()] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_installation_uses_the_pinned_versions(document: str) -> None:
    text = text_of(document)
    commands = [line for line in text.splitlines() if "pip install" in line]

    assert [line for line in commands if "-c constraints.txt" not in line] == []


def test_the_contributors_page_is_one_page() -> None:
    assert len(text_of("CONTRIBUTING.md").splitlines()) <= 60

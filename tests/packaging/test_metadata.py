"""What a package index is given: built without a warning, and accepted."""

from __future__ import annotations

import re
import sys
from email.message import Message
from email.parser import Parser
from zipfile import ZipFile

import pytest
from packaged import Archives, run
from repository import REPOSITORY
from trove_classifiers import classifiers, deprecated_classifiers

# https://semver.org: three numbers, and perhaps which of the releases before a release it is.
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)((a|b|rc)\d+)?")


@pytest.fixture
def metadata(archives: Archives) -> Message:
    """The fields that the wheel has."""
    with ZipFile(archives.wheel) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(wheel.read(name).decode())


def test_both_archives_are_built_without_a_warning(archives: Archives) -> None:
    lines = archives.printed.splitlines()

    assert any(line.startswith("Successfully built") for line in lines)
    assert [line for line in lines if re.search(r"warning|deprecat", line, re.IGNORECASE)] == []


def test_twine_accepts_both_archives(archives: Archives) -> None:
    files = (str(archives.source), str(archives.wheel))
    printed = run("-m", "twine", "--no-color", "check", "--strict", *files, cwd=REPOSITORY)

    # It breaks lines where a terminal would, between a file and its verdict as well.
    assert printed.count("Checking ") == 2
    assert [word for word in printed.split() if word.isupper()] == ["PASSED", "PASSED"]


def test_the_version_is_semantic(metadata: Message) -> None:
    assert SEMANTIC.fullmatch(metadata["Version"])


def test_the_changelog_begins_with_the_version_that_is_built(metadata: Message) -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest, *_ = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)

    assert metadata["Version"] in newest


def test_every_classifier_is_one_that_an_index_knows(metadata: Message) -> None:
    given = set(metadata.get_all("Classifier", []))

    assert given - set(classifiers) == set()
    assert given & set(deprecated_classifiers) == set()
    assert {"Typing :: Typed", "Intended Audience :: Science/Research"} <= given


def test_the_classifiers_name_no_python_that_is_too_old(metadata: Message) -> None:
    start = "Programming Language :: Python :: 3."
    named = [one for one in metadata.get_all("Classifier", []) if one.startswith(start)]
    minors = sorted(int(one.removeprefix(start)) for one in named)

    assert metadata["Requires-Python"] == f">=3.{minors[0]}"
    assert sys.version_info.minor in minors


def test_every_address_is_a_public_one(metadata: Message) -> None:
    """An index refuses a label of more than 32 letters."""
    addresses = dict(one.split(", http", 1) for one in metadata.get_all("Project-URL", []))

    assert addresses
    assert [label for label in addresses if len(label) > 32] == []
    wrong = re.compile(r"^s://(localhost|[\d.:]+|[\w.]*example[\w.]*|\w+)(/|$)")
    assert [rest for rest in addresses.values() if not rest.startswith("s://")] == []
    assert [rest for rest in addresses.values() if wrong.match(rest)] == []


def test_the_description_is_the_readme_as_markdown(metadata: Message) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")

    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().strip() == text.strip()

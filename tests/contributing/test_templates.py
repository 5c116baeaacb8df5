"""The forms of .github/: they are forms, and ask for what an answer needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import REPOSITORY

GITHUB = REPOSITORY / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
# https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def form_of(path: Path) -> dict[str, Any]:
    form: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return form


def asked_for(name: str) -> dict[str, bool]:
    """The fields of a form, and whether they must be filled in."""
    fields = form_of(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")["body"]
    return {field["id"]: field.get("validations", {}).get("required", False) for field in fields}


def test_there_are_three_forms() -> None:
    assert [path.stem for path in FORMS] == ["bug_report", "feature_request", "question"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_github_wants(path: Path) -> None:
    form = form_of(path)

    assert form.keys() <= {"name", "description", "title", "labels", "body"}
    assert form["name"]
    assert form["description"]
    for field in form["body"]:
        assert field["type"] in KINDS
        assert field["attributes"]["label"]
        assert field.keys() <= {"type", "id", "attributes", "validations"}
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))


def test_a_report_of_a_bug_has_a_program_what_it_prints_what_was_expected_and_versions() -> None:
    fields = asked_for("bug_report")

    assert [name for name, required in fields.items() if required] == [
        "program",
        "found",
        "expected",
        "versions",
    ]


def test_the_program_that_a_form_shows_runs_and_so_does_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fields = {field["id"]: field for field in form_of(FORMS[0])["body"]}
    exec(fields["program"]["attributes"]["placeholder"], {})
    assert "tensor(" in capsys.readouterr().out

    command = fields["versions"]["attributes"]["description"].split('-c "')[1].split('"`')[0]
    exec(command, {})
    import metann

    assert capsys.readouterr().out.startswith(metann.__version__)


def test_a_request_says_what_for_and_in_which_code() -> None:
    fields = asked_for("feature_request")

    assert fields == {"aim": True, "code": True, "today": True, "source": False}


def test_a_question_needs_nothing_but_itself() -> None:
    assert asked_for("question") == {"question": True, "tried": False, "page": False}


def test_a_pull_request_is_asked_for_the_checks_a_test_generated_files_and_a_line_of_news() -> None:
    text = (GITHUB / "pull_request_template.md").read_text(encoding="utf-8")
    boxes = [line for line in text.splitlines() if line.startswith("- [ ] ")]

    for word in ("`make check`", "a test fails", "`generated/`", "`CHANGELOG.md`"):
        assert any(word in box for box in boxes)


def test_every_file_that_they_name_is_there() -> None:
    files = [*FORMS, GITHUB / "pull_request_template.md"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = ("docs/layer-matrix.md", "CHANGELOG.md", "CONTRIBUTING.md", "tools/generate.py")

    for name in named:
        assert name in text
        assert (REPOSITORY / name).is_file()

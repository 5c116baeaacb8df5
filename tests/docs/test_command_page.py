"""The page of `metann-generate` shows what its --help says."""

from __future__ import annotations

from fences import blocks_of
from repository import REPOSITORY
from typer.testing import CliRunner

from metann.codegen.users.command import app

PAGE = REPOSITORY / "docs" / "api" / "command-line.md"


def test_the_page_shows_the_help() -> None:
    said = CliRunner().invoke(app, ["--help"], prog_name="metann-generate")
    (shown,) = (block.text for block in blocks_of(PAGE.read_text()) if block.language == "text")

    assert said.exit_code == 0
    assert (
        shown.split() == said.output.split()
    ), "its words; lines are as long as a terminal is wide"

"""In an editor, hovering a layer says what it is, and going to its definition leads to its code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from language_server import Editor, editor_in


@pytest.fixture(scope="module")
def editor(users_folder: Path) -> Iterator[Editor]:
    with editor_in(users_folder) as editor:
        yield editor


@pytest.fixture
def constructing(users_folder: Path) -> Path:
    return users_folder / "user_code" / "constructing.py"


def test_hovering_a_class_shows_what_it_computes_its_dependents_and_torchs_page(
    editor: Editor, constructing: Path
) -> None:
    shown = editor.hover(constructing, "DependentLinear,\n").replace("\\", "")

    assert "An affine map of the last dimension" in shown
    assert "weight: shape (out_features, in_features)" in shown
    assert "bias: shape (out_features,), or None" in shown
    assert "https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html" in shown


def test_hovering_a_construction_shows_the_arguments_and_what_is_computed(
    editor: Editor, constructing: Path
) -> None:
    shown = editor.hover(constructing, "DependentLinear(3, 4)")

    assert "in_features: int,\n    out_features: int,\n    bias: bool = True," in shown
    assert "An affine map of the last dimension" in shown


@pytest.mark.parametrize(
    ("place", "file", "line"),
    [
        ("DependentLinear(3, 4)", "linear.py", "class DependentLinear(nn.Linear, DependentModule)"),
        ("weight, Tensor)", "linear.py", "weight: Tensor = dependent()"),
        ("linear1, DependentLinear)", "transformer.py", "linear1: DependentLinear = submodule()"),
    ],
)
def test_going_to_a_definition_leads_to_the_generated_source(
    editor: Editor, constructing: Path, place: str, file: str, line: str
) -> None:
    found = editor.definition(constructing, place)

    assert found[0] == f"metann/generated/{file}"
    assert found[1].startswith(line)


def test_hovering_functional_shows_the_arguments_of_the_module(
    editor: Editor, users_folder: Path
) -> None:
    learning = users_folder / "user_code" / "learning.py"

    shown = editor.hover(learning, "functional(params, True, x, scale=2.0)")

    assert "x: Tensor,\n    scale: float = 1\n) -> tuple[Tensor, int]" in shown

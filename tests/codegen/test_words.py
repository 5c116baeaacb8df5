"""What each layer computes, in our words: one first line for each, and none of torch's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
from small_torch import write_torch
from torch import nn

from metann.codegen import documenting
from metann.codegen.library import read_torch
from metann.codegen.model import ClassPlan, LibraryPlan
from metann.codegen.plan import plan_library
from metann.codegen.render import render_library
from metann.codegen.words import WORDS
from metann.codegen.words.entry import Words
from metann.registry import generated_counterparts

COUNTERPARTS = generated_counterparts()
LONGEST_FIRST_LINE, LONGEST_LINE = 88, 100
# So many words in a row that are torch's, too, would be a sentence of torch's.
SHARED = 6


def layers_of(plan: LibraryPlan) -> dict[str, ClassPlan]:
    return {layer.original: layer for file in plan.files for layer in file.layers}


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z_]+|\d+", text.lower())


def runs(text: str, length: int = SHARED) -> set[tuple[str, ...]]:
    """All sequences of words of that length."""
    words = words_of(text)
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def prose(text: str) -> Iterator[str]:
    """What is said between formulas, and beside shapes."""
    return (part for part in re.split(r"`[^`]*`|Shape: [^.]*\.", text) if part.strip())


def test_every_layer_has_words_and_no_words_are_left_over(torch_plan: LibraryPlan):
    assert set(WORDS) == set(layers_of(torch_plan))


@pytest.mark.parametrize("name", WORDS)
def test_the_first_line_is_one_short_sentence(name):
    first, *more = WORDS[name].computes.splitlines()

    assert len(first) <= LONGEST_FIRST_LINE
    assert more == []
    assert first.endswith(".")
    assert first[0] in "`" or first[0].isupper()


@pytest.mark.parametrize("layer", COUNTERPARTS, ids=lambda layer: layer.__name__)
def test_a_docstring_has_short_lines_but_for_its_link(layer):
    lines = (COUNTERPARTS[layer].__doc__ or "").splitlines()

    assert [line for line in lines if len(line) > LONGEST_LINE and "<https://" not in line] == []


@pytest.mark.parametrize("layer", COUNTERPARTS, ids=lambda layer: layer.__name__)
def test_no_sentence_is_torchs(layer):
    ours = inspect.cleandoc(COUNTERPARTS[layer].__doc__ or "").partition("Dependents:")[0]
    # Whatever torch says of any layer: ours might be next to the wrong one.
    torchs = " ".join(kind.__doc__ or "" for kind in COUNTERPARTS)

    shared = {run for part in prose(ours) for run in runs(part)} & runs(torchs)

    assert shared == set()


def test_a_sentence_of_torch_would_be_found():
    assert runs("Applies a linear transformation to the incoming data") & runs(
        nn.Linear.__doc__ or ""
    )


def test_a_layer_of_a_later_torch_is_written_without_words(tmp_path):
    folder = write_torch(tmp_path, new="class New(Module): ...")

    text = render_library(plan_library(read_torch(folder)))["new.py"]

    assert (
        '    """Counterpart of torch.nn.New.\n'
        "    <https://docs.pytorch.org/docs/stable/generated/torch.nn.New.html>\n"
        '    """\n'
    ) in text


def test_all_that_may_be_said_is_in_the_docstring(tmp_path, monkeypatch):
    said = Words(
        "It computes.",
        "There is more,\nand more.",
        "(N) -> (N),\nor without N",
        {"weight": "as wide as it is long", "other[k]": "one for each k"},
        "all it has",
    )
    monkeypatch.setattr(documenting, "WORDS", {"torch.nn.Linear": said})

    text = render_library(plan_library(read_torch(write_torch(tmp_path))))["linear.py"]

    assert (
        '    """It computes.\n'
        "\n"
        "    There is more,\n"
        "    and more.\n"
        "\n"
        "    Shape: (N) -> (N),\n"
        "    or without N.\n"
        "\n"
        "    Counterpart of torch.nn.Linear.\n"
        "    <https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html>\n"
        "\n"
        "    Dependents:\n"
        "        weight: as wide as it is long.\n"
        "        bias: shape (out_features,), or None with bias=False.\n"
        "        other[k]: one for each k.\n"
        "        those of all it has.\n"
        '    """\n'
    ) in text


def test_dependents_of_a_base_are_said_though_they_are_not_declared_again(torch_plan: LibraryPlan):
    cell = layers_of(torch_plan)["torch.nn.GRUCell"]

    assert cell.dependents == ()
    assert cell.said_of_dependents[:2] == (
        "weight_ih: shape (3 * hidden_size, input_size).",
        "weight_hh: shape (3 * hidden_size, hidden_size).",
    )


def test_submodules_with_dependents_are_named(torch_plan: LibraryPlan):
    layers = layers_of(torch_plan)

    assert layers["torch.nn.TransformerEncoderLayer"].said_of_dependents == (
        "those of its submodules self_attn, linear1, linear2, norm1, norm2.",
    )
    assert layers["torch.nn.MultiheadAttention"].said_of_dependents[-1] == (
        "those of its submodule out_proj."
    )


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ("bias: bool = True", "shape (size,), or None with bias=False"),
        ("bias=True", "shape (size,), or None with bias=False"),
        ("bias: object", "shape (size,), or None"),
    ],
)
def test_when_a_weight_is_none_is_said_if_the_constructor_is_told_so(tmp_path, conditions, said):
    text = (
        "class New(Module):\n"
        f"    def __init__(self, size: int, {conditions}) -> None:\n"
        "        if bias:\n"
        "            self.bias = Parameter(torch.empty(size))\n"
        "        else:\n"
        '            self.register_parameter("bias", None)\n'
    )

    plan = plan_library(read_torch(write_torch(tmp_path, new=text)))

    assert layers_of(plan)["torch.nn.New"].said_of_dependents == (f"bias: {said}.",)


def test_what_a_base_decides_by_itself_is_no_argument(tmp_path):
    text = (
        "class New(_Base):\n"
        "    def __init__(self, size: int, affine: bool = False) -> None:\n"
        "        super().__init__(size, affine)\n\n"
        "class _Base(Module):\n"
        "    def __init__(self, size: int, affine: bool = True, bias: bool = True) -> None:\n"
        "        if self.affine:\n"
        "            if bias:\n"
        "                self.bias = Parameter(torch.empty(size))\n"
        "            else:\n"
        '                self.register_parameter("bias", None)\n'
    )

    plan = plan_library(read_torch(write_torch(tmp_path, new=text)))

    assert layers_of(plan)["torch.nn.New"].said_of_dependents == (
        "bias: shape (size,), or None with affine=False.",
    )

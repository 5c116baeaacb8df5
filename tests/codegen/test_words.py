"""What each layer computes, in our words: one first line for each."""

from __future__ import annotations

import pytest
from small_torch import write_torch

from metann.codegen import documenting
from metann.codegen.library import read_torch
from metann.codegen.model import ClassPlan, LibraryPlan
from metann.codegen.plan import plan_library
from metann.codegen.render import render_library
from metann.codegen.words import WORDS
from metann.codegen.words.entry import Words

# It stands in the constructor, too: twelve spaces and six quotes further to the right.
LONGEST_FIRST_LINE = 82


def layers_of(plan: LibraryPlan) -> dict[str, ClassPlan]:
    return {layer.original: layer for file in plan.files for layer in file.layers}


def test_every_layer_has_words_and_no_words_are_left_over(torch_plan: LibraryPlan):
    assert set(WORDS) == set(layers_of(torch_plan))


@pytest.mark.parametrize("name", WORDS)
def test_the_first_line_is_one_short_sentence(name):
    first, *more = WORDS[name].computes.splitlines()

    assert len(first) <= LONGEST_FIRST_LINE
    assert more == []
    assert first.endswith(".")
    assert first[0] in "`" or first[0].isupper()


def test_a_layer_of_a_later_torch_is_written_without_words(tmp_path):
    folder = write_torch(tmp_path, new="class New(Module): ...")

    text = render_library(plan_library(read_torch(folder)))["new.py"]

    assert (
        '    """Counterpart of torch.nn.New.\n'
        "    https://docs.pytorch.org/docs/stable/generated/torch.nn.New.html\n"
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
        "    https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html\n"
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

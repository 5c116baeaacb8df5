"""Expressions of torch's files -> expressions of generated files."""

from __future__ import annotations

import pytest
from small_torch import write_torch

from metann.codegen.library import Library, read_torch
from metann.codegen.model import ImportPlan
from metann.codegen.read import read_file
from metann.codegen.spelling import Speller

HEAD = """
import torch
from typing import Literal, Any
from collections.abc import Callable
from torch import Tensor
from torch.nn import functional as F
from torch.nn.common_types import _size_2_t, _size_2_opt_t
from torch.nn.modules.linear import Linear
from torch.nn._private import thing as alias

_shape_t = int | list[int]

class Below: ...
"""


@pytest.fixture(scope="module")
def speller(tmp_path_factory) -> Speller:
    library = read_torch(write_torch(tmp_path_factory.mktemp("torch")))
    file = read_file(HEAD, "torch.nn.modules.some")
    files = {**library.files, file.module: file}
    return Speller(Library(library.version, files), {"torch.nn.modules.linear.Linear": "Linear"})


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("int", "int"),
        ("torch.Tensor", "Tensor"),
        ("Tensor | None", "Tensor | None"),
        ("torch.dtype", "torch.dtype"),
        ("Linear", "nn.Linear"),
        ("_size_2_t", "int | tuple[int, int]"),
        ("_size_2_opt_t", "int | tuple[int | None, int | None] | None"),
        ("str | _size_2_t", "str | int | tuple[int, int]"),
        ("_shape_t", "int | list[int]"),
        ('"Below"', "Below"),
        ('Literal["Below"]', 'Literal["Below"]'),
        ('"zeros"', '"zeros"'),
        ("Callable[[Tensor], Tensor]", "Callable[[Tensor], Tensor]"),
        ("F.linear(input, torch=Linear)", "F.linear(input, torch=nn.Linear)"),
        ("f(Tensor)[0].shape", "f(Tensor)[0].shape"),
    ],
)
def test_an_expression_is_spelled(speller, written, spelled):
    file = speller.library.files["torch.nn.modules.some"]

    assert speller.spell(written, file).text == spelled


@pytest.mark.parametrize(
    ("written", "needed"),
    [
        ("int", set()),
        ("torch.Tensor", {ImportPlan("torch", "Tensor")}),
        ("torch.dtype", {ImportPlan("torch")}),
        ("Linear", {ImportPlan("torch", "nn")}),
        ("F.relu", {ImportPlan("torch.nn.functional", alias="F")}),
        ("Any", {ImportPlan("typing", "Any")}),
        ("Below", {ImportPlan("torch.nn.modules.some", "Below")}),
        ("alias(1)", {ImportPlan("torch.nn._private", "thing")}),
    ],
)
def test_an_expression_says_what_it_needs_imported(speller, written, needed):
    file = speller.library.files["torch.nn.modules.some"]

    assert speller.spell(written, file).imports == needed


def test_an_argument_hides_a_name_of_the_file(speller):
    file = speller.library.files["torch.nn.modules.some"]

    assert speller.spell("Linear", file, local=["Linear"]).text == "Linear"

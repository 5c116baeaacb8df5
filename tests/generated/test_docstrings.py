"""Docstrings as they are shown: short lines, a link, and nothing that torch says."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from textwrap import dedent

import pytest
from torch import nn

from metann.registry import generated_counterparts

COUNTERPARTS = generated_counterparts()
LONGEST_LINE = 100
# So many words in a row that are torch's, too, would be a sentence of torch's.
SHARED = 6


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z_]+|\d+", text.lower())


def runs(text: str, length: int = SHARED) -> set[tuple[str, ...]]:
    """All sequences of words of that length."""
    words = words_of(text)
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def prose(text: str) -> Iterator[str]:
    """What is said between formulas, and beside shapes."""
    return (part for part in re.split(r"`[^`]*`|Shape: [^.]*\.", text) if part.strip())


@pytest.mark.parametrize("layer", COUNTERPARTS, ids=lambda layer: layer.__name__)
def test_a_docstring_has_short_lines_but_for_its_link(layer):
    lines = (COUNTERPARTS[layer].__doc__ or "").splitlines()

    assert [line for line in lines if len(line) > LONGEST_LINE and "https://" not in line] == []


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


@pytest.mark.parametrize("layer", COUNTERPARTS, ids=lambda layer: layer.__name__)
def test_a_public_layer_is_linked_to_its_page(layer):
    said = COUNTERPARTS[layer].__doc__ or ""
    page = f"\n    https://docs.pytorch.org/docs/stable/generated/torch.nn.{layer.__name__}.html\n"
    without = (nn.Container, nn.NLLLoss2d, nn.RNNCellBase)

    is_public = getattr(nn, layer.__name__, None) is layer and layer not in without
    assert (page in said) == is_public


@pytest.mark.parametrize("layer", COUNTERPARTS, ids=lambda layer: layer.__name__)
def test_a_call_of_a_constructor_is_shown_with_the_first_line(layer):
    """Without it editors show what torch.nn.Module says of its own constructor."""
    counterpart = COUNTERPARTS[layer]
    tree = ast.parse(dedent(inspect.getsource(counterpart)))
    said = [
        ast.get_docstring(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]

    assert said == [(counterpart.__doc__ or "").splitlines()[0]] * len(said)

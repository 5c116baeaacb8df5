"""The shapes that a docstring gives are those of real inputs and outputs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from docstrings.said import Names, arguments_of, evaluated, said_of
from docstrings.shapes import SaidShapes, fits, parsed, swapped, without_optional
from every_layer import SAMPLES_OF, for_each_use_of
from measuring import constructed, inputs_of, layer_of, run, tensors_in
from samples.sample import Sample
from torch import nn
from torch.nn.utils.rnn import PackedSequence

# Those about which there is something to say.
WITH_SHAPES = [layer for layer in SAMPLES_OF if said_of(layer).shape]


def shapes_of(value: Any) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in tensors_in(value)]


def said_for(sample: Sample, names: Names, told: Names) -> SaidShapes:
    """The shapes for these arguments, with what the letters stand for set in the layer."""
    said = said_of(sample.layer)
    for letter, meaning in said.definitions.items():
        if "k" not in re.findall(r"\w+", meaning):
            setattr(names.layer, letter, evaluated(meaning, names))
    shapes = parsed(said.shape)
    if "With batch_first=True, N comes first." in said.summary and told["batch_first"]:
        return swapped(shapes, "LS")
    if "With batch_first=True, N comes before L." in said.summary and told["batch_first"]:
        return swapped(shapes, "L")
    return shapes


@for_each_use_of(WITH_SHAPES)
def test_shapes_are_those_of_real_tensors(sample: Sample, training: bool):
    inputs = inputs_of(sample)
    if any(isinstance(item, PackedSequence) for item in inputs.args):
        return
    module = constructed(sample, sample.layer).train(training)
    layer = layer_of(module)
    output = run(module, inputs)
    # The reduction may come from arguments that torch deprecates.
    reduction = {"reduction": layer.reduction} if hasattr(layer, "reduction") else {}
    told = Names(layer, **arguments_of(sample) | reduction)
    real = shapes_of([inputs.args, inputs.kwargs]), shapes_of(output)

    said = said_for(sample, Names(layer), told)
    options = [said, without_optional(said)] if said.optional else [said]

    assert any(fits(option, *real, Names(layer), told) for option in options), (
        said_of(sample.layer).shape,
        real,
    )


class Some(nn.Module):
    """A layer with a size."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 3
        self.sizes = 4, 5


@pytest.mark.parametrize(
    ("text", "inputs", "outputs", "expected"),
    [
        ("(*, width) -> (*)", [(2, 7, 3)], [(2, 7)], True),
        ("(*, width) -> (*)", [(2, 7, 4)], [(2, 7)], False),
        ("(*, width) -> (*)", [(2, 7, 3)], [(7, 2)], False),
        ("(N, *sizes) -> (N)", [(2, 4, 5)], [(2,)], True),
        ("(N, *sizes) -> (N)", [(2, 5, 4)], [(2,)], False),
        ("(N, C * width) -> (C)", [(2, 6)], [(2,)], True),
        ("(N, C * width) -> (C)", [(2, 7)], [(2,)], False),
        ("(N, C) -> (N), (C)", [(2, 6)], [(2,)], False),
        ("(N, C) -> (N)", [(2, 6)], [(2,), (6,)], False),
        ("(N, C) -> (N), and more", [(2, 6)], [(2,), (6,)], True),
        ("(N), (N) -> ()", [(2,), (2,)], [()], True),
        ("(N), (N) -> ()", [(2,), (3,)], [()], False),
        ("(N) -> (), or (N) with width=4", [(2,)], [()], True),
        ("(N) -> (), or (N) with width=3", [(2,)], [()], False),
        ("(N) -> (), or (N) with width=3", [(2,)], [(2,)], True),
    ],
)
def test_the_comparison_tells_shapes_apart(text, inputs, outputs, expected):
    names = Names(Some())

    assert fits(parsed(text), inputs, outputs, names, names) is expected


def test_one_example_has_no_batch() -> None:
    names, said = Names(Some()), parsed("(N, C) -> (N), or (N, C) with width=4; or without N")

    assert not fits(said, [(2,)], [()], names, names)
    assert fits(without_optional(said), [(2,)], [()], names, names)


def test_batches_may_come_first() -> None:
    names, said = Names(Some()), parsed("(L, N, C) -> (L, N), (S, N)")

    assert fits(swapped(said, "L"), [(2, 7, 3)], [(2, 7), (1, 2)], names, names)
    assert not fits(said, [(2, 7, 3)], [(2, 7), (1, 2)], names, names)

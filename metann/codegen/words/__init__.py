"""What each layer computes, in our words: the first lines of the docstrings in generated/."""

from __future__ import annotations

from collections.abc import Mapping

from metann.codegen.words import (
    activations,
    containers,
    convolutions,
    dropout,
    linear,
    losses,
    normalization,
    padding,
    pooling,
    recurrent,
    reshaping,
    transformers,
)
from metann.codegen.words.entry import Words

WORDS: Mapping[str, Words] = {
    **activations.WORDS,
    **containers.WORDS,
    **convolutions.WORDS,
    **dropout.WORDS,
    **linear.WORDS,
    **losses.WORDS,
    **normalization.WORDS,
    **padding.WORDS,
    **pooling.WORDS,
    **recurrent.WORDS,
    **reshaping.WORDS,
    **transformers.WORDS,
}

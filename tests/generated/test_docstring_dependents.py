"""The dependents that a docstring lists: names, shapes, and when they are None, of real layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from docstrings.said import (
    Names,
    Said,
    SaidDependent,
    arguments_of,
    evaluated,
    said_of,
)
from every_layer import SAMPLES_OF, for_each_use_of
from measuring import allowed_warnings, constructed, layer_of
from samples.sample import Sample
from torch import Tensor, nn

CONTAINERS = (nn.ParameterList, nn.ParameterDict)


def listed(said: Said, layer: nn.Module) -> Iterator[tuple[str, SaidDependent, int]]:
    """The name of each dependent in this layer, what is said of it, and the number of its layer.

    Example: weight_ih_l[k], weight_ih_l[k]_reverse -> weight_ih_l0, weight_ih_l1
    """
    for dependent in said.dependents:
        for name in dependent.names:
            if "[k]" not in name:
                yield name, dependent, 0
            elif layer.bidirectional or not name.endswith("_reverse"):
                for k in range(layer.num_layers):
                    yield name.replace("[k]", str(k)), dependent, k


def shape_of(dependent: SaidDependent, said: Said, layer: nn.Module, names: Names) -> object:
    """The shape that is said, with what its letters stand for."""
    for letter, meaning in said.definitions.items():
        names[letter] = evaluated(meaning, names)
    return evaluated(dependent.shape, names)


@for_each_use_of(SAMPLES_OF)
def test_listed_dependents_are_those_of_a_real_layer(sample: Sample, training: bool):
    layer = layer_of(constructed(sample, sample.layer).train(training))
    said, told = said_of(sample.layer), Names(layer, **arguments_of(sample))
    seen = set()

    for name, dependent, k in listed(said, layer):
        seen.add(name)
        if evaluated(dependent.absent_with, told):
            assert not hasattr(layer, name)
            continue
        weight: Tensor | None = getattr(layer, name)
        is_none = evaluated(dependent.none_with, told) or evaluated(dependent.none_if, Names(layer))
        assert (weight is None) == is_none
        if weight is not None:
            number_of_gates = {"num_chunks": told["num_chunks"]} if "num_chunks" in told else {}
            names = Names(layer, k=k, **number_of_gates)
            assert tuple(weight.shape) == shape_of(dependent, said, layer, names)

    if not said.other:
        assert set(layer._parameters) <= seen
    elif not isinstance(layer, CONTAINERS):
        assert set(layer._parameters) <= {"original", "original0", "original1"}


def weights(sample: Sample) -> Iterator[tuple[SaidDependent, bool]]:
    """Each dependent, and whether it is None."""
    layer = layer_of(constructed(sample, sample.layer))
    for name, dependent, _ in listed(said_of(sample.layer), layer):
        if hasattr(layer, name):
            yield dependent, getattr(layer, name) is None


@pytest.mark.parametrize("layer", SAMPLES_OF, ids=lambda layer: layer.__name__)
def test_none_is_said_of_those_that_may_be_none(layer):
    """Each of them is None in a sample, and is not in another."""
    seen = defaultdict[SaidDependent, set[bool]](set)
    for sample in SAMPLES_OF[layer]:
        with allowed_warnings(sample):
            for dependent, is_none in weights(sample):
                seen[dependent].add(is_none)

    assert seen == {
        dependent: {False, dependent.may_be_none} for dependent in said_of(layer).dependents
    }


@pytest.mark.parametrize("layer", SAMPLES_OF, ids=lambda layer: layer.__name__)
def test_the_named_submodules_are_those_with_dependents(layer):
    holding: set[str] = set()
    for sample in SAMPLES_OF[layer]:
        with allowed_warnings(sample):
            children = layer_of(constructed(sample, layer)).named_children()
            holding |= {name for name, child in children if any(True for _ in child.parameters())}

    said = said_of(layer)
    # A container's submodules have other names in each sample.
    assert holding == set(said.holding) or said.holds_modules

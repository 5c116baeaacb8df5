"""One test for each layer: all its samples, in train and in eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

import pytest
from measuring import allowed_warnings
from samples import SAMPLES
from samples.sample import Sample
from torch import nn

SAMPLES_OF: dict[type[nn.Module], list[Sample]] = {
    layer: [sample for sample in SAMPLES if sample.layer is layer]
    for layer in dict.fromkeys(sample.layer for sample in SAMPLES)
}

Check = Callable[[Sample, bool], None]


def for_each_use_of(layers: Iterable[type[nn.Module]]) -> Callable[[Check], Callable[..., None]]:
    """Make `check(sample, training)` a test of each layer; a layer without samples fails it.

    One test a layer, and a subtest only for what fails: pytest takes longer over a test than most
    of these checks do.
    """

    def tested(check: Check) -> Callable[..., None]:
        @pytest.mark.parametrize("layer", list(layers), ids=lambda layer: layer.__name__)
        def test(layer: type[nn.Module], subtests: pytest.Subtests) -> None:
            assert layer in SAMPLES_OF, f"no sample of {layer.__name__} in tests/generated/samples"
            for sample, training in product(SAMPLES_OF[layer], (True, False)):
                try:
                    with allowed_warnings(sample):
                        check(sample, training)
                except (Exception, pytest.fail.Exception):
                    with subtests.test(str(sample), training=training):
                        raise

        test.__doc__ = check.__doc__
        return test

    return tested

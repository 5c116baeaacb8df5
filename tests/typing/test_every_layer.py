"""No constructor and no call of a generated layer takes or returns Any, but for these."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from checkers import CHECKERS, Finding
from every_layer_revealed import ASKED, UNKNOWN, revealed

POOL = "a Tensor, or with `return_indices` a pair of them: `Tensor | Any` can be used as either"
HOLDS = "torch's class has no forward: it cannot be called"
CALLS = {
    "DependentAdaptiveMaxPool1d": POOL,
    "DependentAdaptiveMaxPool2d": POOL,
    "DependentAdaptiveMaxPool3d": POOL,
    "DependentContainer": HOLDS,
    "DependentFractionalMaxPool2d": POOL,
    "DependentFractionalMaxPool3d": POOL,
    "DependentMaxPool1d": POOL,
    "DependentMaxPool2d": POOL,
    "DependentMaxPool3d": POOL,
    "DependentModuleDict": HOLDS,
    "DependentModuleList": HOLDS,
    "DependentParameterDict": HOLDS,
    "DependentParameterList": HOLDS,
    "DependentRNNBase": HOLDS,
    "DependentRNNCellBase": HOLDS,
    "DependentSequential": "takes what its first layer takes, and returns what its last returns",
}
CONSTRUCTORS = {
    "DependentContainer": "takes any modules by any names",
    "DependentIdentity": "takes any arguments, and uses none",
    "DependentParameterDict": "takes a mapping or pairs, of any values",
    "DependentParameterList": "holds any values",
    "DependentSyncBatchNorm": "torch says nothing of `process_group`",
    "DependentTransformer": "torch says Any of `custom_encoder` and `custom_decoder`",
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_no_layer_takes_or_returns_any(
    checker: str, findings_of: Callable[[str], list[Finding]]
) -> None:
    types = revealed(findings_of(checker))
    unknown = {asked for asked, type_ in types.items() if UNKNOWN.search(type_)}

    assert types.keys() == {*ASKED}
    assert {layer for layer, method in unknown if method == "__call__"} == CALLS.keys()
    assert {layer for layer, method in unknown if method == "__init__"} == CONSTRUCTORS.keys()

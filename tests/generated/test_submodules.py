"""Declared submodules: a counterpart reads them where they are, and knows their type."""

from __future__ import annotations

import pytest
from torch import nn

from metann import DependentModule, generated


def test_a_declared_submodule_is_the_one_in_the_table() -> None:
    layer = generated.DependentTransformerEncoderLayer(8, 2)

    assert layer.linear1 is layer._modules["linear1"]
    assert type(layer.linear1) is generated.DependentLinear


def test_a_declared_submodule_can_be_replaced_and_deleted() -> None:
    layer = DependentModule(nn.TransformerEncoderLayer(8, 2))

    layer.linear1 = nn.Linear(8, 4)
    assert layer.linear1.out_features == 4
    assert type(layer.linear1) is generated.DependentLinear

    del layer.linear1
    with pytest.raises(AttributeError, match="linear1"):
        _ = layer.linear1

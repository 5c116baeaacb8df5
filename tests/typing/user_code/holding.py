"""What containers hold is dependent, and the checkers know it."""

from __future__ import annotations

from torch import Tensor, nn
from typing_extensions import assert_type

from metann import DependentModule
from metann.generated import DependentModuleDict, DependentModuleList, DependentSequential


def a_sequence(sequence: DependentSequential, x: Tensor) -> None:
    assert_type(sequence[0], DependentModule)
    assert_type(sequence[0:2], DependentSequential)
    assert_type(len(sequence), int)
    for layer in sequence:
        assert_type(layer, DependentModule)
        layer.substitute_from_list([x])
    sequence[0] = nn.Linear(3, 4)


def a_list(modules: DependentModuleList) -> None:
    assert_type(modules[-1], DependentModule)
    assert_type(modules[1:], DependentModuleList)
    assert_type(list(modules), list[DependentModule])
    modules.append(nn.Linear(3, 4))
    modules.insert(0, nn.ReLU())


def a_dict(modules: DependentModuleDict) -> None:
    assert_type(modules["head"], DependentModule)
    assert_type(list(modules), list[str])
    for name, module in modules.items():
        assert_type((name, module), tuple[str, DependentModule])
    for module in modules.values():
        assert_type(module, DependentModule)
    modules["head"] = nn.Linear(3, 4)

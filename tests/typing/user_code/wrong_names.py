"""Misspelt names, and modules of the wrong kind: each marked line is an error."""

from __future__ import annotations

from torch import Tensor, nn

from metann import register, set_missing_policy, to_dependent
from metann.generated import DependentConv2d, DependentLinear


def of_dependents(linear: DependentLinear, x: Tensor) -> None:
    # E: mypy[dict-item] pyright[reportArgumentType] pyrefly[bad-assignment]
    linear.substitute({"wieght": x})
    # E: mypy[dict-item] pyright[reportArgumentType] pyrefly[bad-assignment]
    linear.substitute({"weight": 1.0})


def of_attributes(linear: DependentLinear, x: Tensor) -> None:
    # A module may have any attribute, for torch's own class says so: a tensor or a module.
    # E: mypy[operator] pyright[reportOperatorIssue, reportUnknownVariableType]
    # E: pyrefly[unsupported-operation]
    _sum = linear.wieght + x
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    linear(linear.wieght)


def of_imports() -> None:
    # E: mypy[attr-defined] pyrefly[missing-module-attribute]
    # E: pyright[reportAttributeAccessIssue, reportUnknownVariableType]
    from metann import Lerner as _  # noqa: F401


def of_imports_of_layers() -> None:
    # E: mypy[attr-defined] pyrefly[missing-module-attribute]
    # E: pyright[reportAttributeAccessIssue, reportUnknownVariableType]
    from metann.generated import DependentLinaer as _  # noqa: F401


def kinds(linear: nn.Linear, x: Tensor) -> DependentConv2d:
    # E: mypy[call-overload] pyrefly[no-matching-overload]
    # E: pyright[reportCallIssue, reportArgumentType]
    to_dependent(x)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    register(nn.Linear, nn.Linear)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    set_missing_policy("raise")
    # E: mypy[return-value] pyright[reportReturnType] pyrefly[bad-return]
    return to_dependent(linear)

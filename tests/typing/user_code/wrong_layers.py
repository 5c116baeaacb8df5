"""Wrong use of layers: each marked line is an error, by the rules named."""

from __future__ import annotations

from torch import Tensor

from metann.generated import DependentLinear


def arguments(x: Tensor) -> None:
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    linear = DependentLinear("3", 4)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    linear("x")
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[unexpected-keyword]
    DependentLinear(3, 4, biases=False)


def results(x: Tensor) -> int:
    # E: mypy[return-value] pyright[reportReturnType] pyrefly[bad-return]
    return DependentLinear(3, 4)(x)

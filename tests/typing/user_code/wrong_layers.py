"""Wrong use of layers: each marked line is an error, by the rules named."""

from __future__ import annotations

from torch import Tensor

from metann.generated import DependentConv2d, DependentLinear, DependentLSTM


def arguments_of_constructors() -> None:
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    DependentLinear("3", 4)
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[unexpected-keyword]
    DependentLinear(3, 4, biases=False)
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[missing-argument]
    DependentLinear(3)
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    DependentConv2d(1, 2, kernel_size="3")


def arguments_of_calls(linear: DependentLinear, lstm: DependentLSTM, x: Tensor) -> None:
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    linear("x")
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[bad-argument-count]
    linear(x, x)
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[missing-argument, unexpected-keyword]
    linear(inputs=x)
    # E: mypy[call-overload] pyrefly[no-matching-overload]
    # E: pyright[reportCallIssue, reportArgumentType]
    lstm(x, x)


def results(linear: DependentLinear, lstm: DependentLSTM, x: Tensor) -> int:
    # E: mypy[attr-defined] pyrefly[missing-attribute]
    # E: pyright[reportAttributeAccessIssue, reportUnknownMemberType]
    lstm(x).detach()
    # E: mypy[misc] pyright[reportAssignmentType, reportUnknownVariableType] pyrefly[bad-unpacking]
    _output, _hidden, _cell = lstm(x)
    # E: mypy[return-value] pyright[reportReturnType] pyrefly[bad-return]
    return linear(x)


def attributes(linear: DependentLinear) -> None:
    # E: mypy[union-attr] pyright[reportOptionalMemberAccess] pyrefly[missing-attribute]
    print(linear.bias.shape)
    # E: mypy[assignment] pyright[reportAttributeAccessIssue] pyrefly[bad-assignment]
    linear.weight = None
    # E: mypy[assignment] pyright[reportAttributeAccessIssue] pyrefly[bad-assignment]
    linear.in_features = "3"

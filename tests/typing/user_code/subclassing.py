"""Modules of one's own that derive from DependentModule: a call is typed as their forward."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from typing_extensions import assert_type

from metann import DependentModule, Learner
from metann.generated import DependentLinear


class Net(DependentModule):
    """As `metann-generate --rewrite` writes them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = DependentLinear(width, 2)

    def forward(self, x: Tensor, scale: float = 1.0) -> tuple[Tensor, int]:
        return self.linear(x) * scale, 1


def calls(net: Net, x: Tensor) -> None:
    assert_type(Net(3)(x), tuple[Tensor, int])
    assert_type(net(x, scale=2.0), tuple[Tensor, int])
    assert_type(net.linear.bias, Tensor | None)
    assert_type(Learner(net).functional([x], True, x), tuple[Tensor, int])
    # E: mypy[arg-type] pyright[reportArgumentType] pyrefly[bad-argument-type]
    net("x")
    # E: mypy[call-arg] pyright[reportCallIssue] pyrefly[unexpected-keyword]
    net(x, scaling=2.0)


def passed_on(net: Net) -> Callable[[Tensor], tuple[Tensor, int]]:
    return net

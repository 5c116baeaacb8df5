"""Generic and abstract modules, classes inside of classes and of functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class Head(nn.Module, ABC):
    @abstractmethod
    def read(self, x: Tensor) -> Tensor: ...

    def forward(self, x: Tensor) -> Tensor:
        return self.read(x)


class LinearHead(Head):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, 2)

    def read(self, x: Tensor) -> Tensor:
        return self.out(x)


class Wrapper(nn.Module, Generic[M]):
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.__scale = nn.Parameter(torch.randn(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.__scale * x

    def __init__(self, inner: M) -> None:
        super().__init__()
        self.inner: M = inner
        self.scale = Wrapper.Scale()
        self.__shift = nn.Parameter(torch.randn(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.inner(x)) + self.__shift


class Both(Wrapper[nn.Linear]):
    registry: ClassVar[list[type[nn.Module]]] = []

    def __init_subclass__(cls, **kwargs: str) -> None:
        cls.registry.append(cls)
        super().__init_subclass__()


class Sub(Both, name="sub"):
    pass


def residual(width: int) -> nn.Module:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(width, width)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.layer(x)

    return Residual()


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    inner: Wrapper[nn.Linear] = Sub(nn.Linear(3, 4))
    return nn.Sequential(inner, residual(4), LinearHead(4)), (torch.randn(5, 3),)

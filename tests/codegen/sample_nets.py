"""A user's file with a bit of everything, typed as strictly as a user may do it."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
import torch.nn as N
from torch import Tensor
from torch.nn import Linear as Affine
from torch.nn.parameter import Parameter as Weight

LayerT = TypeVar("LayerT", bound=N.Module)
Mode = Literal["relu", "tanh"]
_Size = int | tuple[int, int]


def make_head(width: int) -> Affine:
    return Affine(width, 2)


class Base(N.Module, abc.ABC):
    """Abstract: its metaclass is ABCMeta."""

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor: ...


class Block(Base):
    def __init__(self, width: int, mode: Mode = "relu", *, scaled: bool = True) -> None:
        super().__init__()
        self.scale = Weight(0.5 * torch.randn(width)) if scaled else None
        self.lin = Affine(width, width)
        self.act: N.Module = N.ReLU() if mode == "relu" else N.Tanh()
        self.norm = N.LayerNorm(width)
        self.register_buffer("shift", torch.randn(width))
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.lin(x)) + self.shift
        out: Tensor = self.norm(y) if self.scale is None else self.norm(y * self.scale)
        return out


class Deep(Block):
    """Inherits, replaces a child and ties two weights."""

    def __init__(self, width: int = 4, depth: int = 2) -> None:
        super().__init__(width, "tanh")
        self.blocks = N.ModuleList([Block(width, scaled=i > 0) for i in range(depth)])
        self.extra = N.ParameterList([Weight(torch.randn(width)) for _ in range(2)])
        self._build(width)

    def _build(self, width: int) -> None:
        self.head, self.tail = make_head(width), N.Sequential(Affine(2, 2), N.Tanh())
        self.tied = Affine(width, width)
        self.tied.weight = self.lin.weight
        for number in range(2):
            self.add_module(f"numbered{number}", Affine(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        for block in self.blocks:
            x = block(x) + (self.extra[0] - self.extra[1]) * self.tied(x)
        y: Tensor = self.tail(self.head(x))
        out: Tensor = y + self.get_submodule("numbered1")(y)
        return out


class Wrapper(N.Module, Generic[LayerT]):
    def __init__(self, layer: LayerT, after: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        super().__init__()
        self.layer, self.after = layer, after

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.after(self.layer(x))
        return out


class Wrapped(Wrapper[Block]):
    def __init__(self, size: _Size = 4) -> None:
        super().__init__(Block(size if isinstance(size, int) else size[0]))


class Scaled(Affine):
    """A layer of torch's with one weight more, and a forward of its own."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)  # pyright: ignore[reportUnknownMemberType]  # torch's
        self.gain = Weight(torch.randn(width))

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # another name
        self, x: Tensor, power: float = 1.0
    ) -> Tensor:
        return super().forward(x) * self.gain**power


@dataclasses.dataclass(eq=False)
class Configured(N.Module):
    width: int
    layer: Affine = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        super().__init__()
        self.layer = Affine(self.width, self.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class Registered(N.Module):
    """Acts on its subclasses, of which the counterpart must be none."""

    kinds: ClassVar[list[str]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Registered.kinds.append(cls.__name__)


class OfRegistered(Registered):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Outer.Inner(4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        return out


class Outer:
    class Inner(N.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.bilinear = N.Bilinear(width, width, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.bilinear(x, x)
            return out


class Hidden(N.Module):
    """What the class holds under a name is found first, as in any module."""

    layer: ClassVar[None] = None

    def __init__(self) -> None:
        super().__init__()
        super().__setattr__("layer", Affine(4, 4))
        super().__setattr__("real", Affine(4, 4))
        self.maybe = None

    @property
    def real(self) -> Affine:
        found = self._modules["real"]
        assert isinstance(found, Affine)
        return found

    def forward(self, x: Tensor) -> Tensor:
        assert self.layer is None
        assert self.maybe is None
        out: Tensor = self.real(x)
        return out


class Last(N.LSTM):
    """Returns another type than its base, and replaces a weight of it."""

    def __init__(self) -> None:
        super().__init__(4, 3)  # pyright: ignore[reportUnknownMemberType]  # torch's
        self.bias_ih_l0 = Weight(torch.randn(12))

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        out: Tensor = super().forward(input)[0]
        return out


class Flipped(Block):
    """Takes other arguments than its base."""

    def forward(self, x: Tensor, flip: bool) -> Tensor:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(x.flip(0) if flip else x)


class Cached(N.Module):
    """Has a buffer or none, and one of which an annotation says more."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        if size:
            self.register_buffer("cache", torch.ones(size))
        else:
            self.cache = None
        self.order: torch.LongTensor
        self.register_buffer("order", torch.tensor([1, 0]))

    def forward(self, x: Tensor) -> Tensor:
        return x[self.order]


class Steps(N.Sequential):
    """Inherits all from torch."""


class Scaling(Steps):
    """Takes other arguments than the layer of torch at the bottom."""

    def forward(self, input: Tensor, scale: float) -> Tensor:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        out: Tensor = self[0](input)
        return scale * out


class Any_(N.Module):  # noqa: N801
    """Named as the written file could have named torch's own."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2

"""Users' own classes that override or are whatever a class can override or be."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class Hiding(nn.Module):
    """Computes with whatever `keep` puts into the attribute `kept`: `(n, 3) -> (n, 3)`."""

    def __init__(self, keep: Callable[[Hiding], Any], use: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
        self.gain = nn.Parameter(torch.randn(3))
        self.register_buffer("shift", torch.randn(3))
        self.use = use
        object.__setattr__(self, "kept", keep(self))

    def forward(self, x: Tensor) -> Tensor:
        return self.use(self.kept, x) + self.layer(x)

    def method(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.gain

    def hook(self, module: nn.Module, args: Any, out: Tensor) -> Tensor:
        return out * self.gain

    def pre_hook(self, module: nn.Module, args: Any) -> Any:
        return (args[0] * self.gain,)


class Base(nn.Module):
    """`(n, 3) -> (n, 2)`, to be spoilt by subclasses."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class OwnTrain(Base):
    """Keeps its layer frozen in eval, as many users do with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def train(self, mode: bool = True) -> OwnTrain:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.layer(x))


class OwnGetattr(Base):
    def __getattr__(self, name: str) -> Any:
        if name == "twice":
            return lambda x: 2 * x
        return super().__getattr__(name)

    def forward(self, x: Tensor) -> Tensor:
        return self.twice(self.layer(x))


class Delegating(Base):
    """Looks unknown attributes up in its layer, as wrappers do."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T + self.bias


class OwnSetattr(Base):
    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("locked"):
            raise RuntimeError("locked")
        super().__setattr__(name, value)

    def __init__(self) -> None:
        super().__init__()
        self.locked = True


class OwnGetattribute(Base):
    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__(name)


class OwnChildren(Base):
    def children(self) -> Any:
        raise RuntimeError("children of OwnChildren")

    named_children = named_modules = modules = children


class OwnParameters(Base):
    """Lists the parameters that are to be trained, as many users do."""

    def parameters(self, recurse: bool = True) -> Any:
        return iter([self.layer.bias])


class OwnApply(Base):
    def apply(self, function: Any) -> Any:
        raise RuntimeError("apply of OwnApply")

    _apply = apply


class OwnCall(Base):
    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x) * 3


class OwnLen(Base):
    """Falsy, which careless code takes for missing."""

    def __len__(self) -> int:
        return 0


class OwnEq(Base):
    __hash__ = None

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")


class OwnNew(Base):
    def __new__(cls, *args: Any, **kwargs: Any) -> OwnNew:
        made = super().__new__(cls)
        object.__setattr__(made, "made", True)
        return made


class OwnNewWithArguments(nn.Linear):
    def __new__(cls, width: int) -> OwnNewWithArguments:
        return super().__new__(cls)

    def __init__(self, width: int) -> None:
        super().__init__(3, width)

    def __repr__(self) -> str:
        return "OwnNew"


class Absent(Base):
    def __init__(self) -> None:
        super().__init__()
        self.head = None
        self.register_module("tail", None)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if self.tail is None and self.head is None else x


class Slotted(Base):
    __slots__ = ("factor", "layers")

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "factor", 2.5)
        object.__setattr__(self, "layers", [self.layer])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x) * self.factor


@dataclass(eq=False)
class Dataclass(nn.Module):
    width: int = 2
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, self.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class OfKind(Base, Generic[T]):
    """A generic module."""


class Abstract(nn.Module, abc.ABC):
    @abc.abstractmethod
    def scale(self) -> float: ...


class Concrete(Abstract, Base):
    def scale(self) -> float:
        return 2.0

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale()


class Meta(type):
    """A user's metaclass: registers the classes it makes."""

    made: ClassVar[list[str]] = []

    def __new__(mcs, name: str, bases: Any, namespace: Any, **kwargs: Any) -> Any:
        mcs.made.append(name)
        return super().__new__(mcs, name, bases, namespace, **kwargs)


class WithMeta(Base, metaclass=Meta):
    pass


class Registering(Base):
    """Registers its subclasses by name, and takes an argument."""

    known: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls, kind: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.known[kind] = cls


class Registered(Registering, kind="registered"):
    pass


class OwnSubstitute(Base):
    """Has methods named like metann's."""

    def substitute(self, x: Tensor) -> Tensor:
        return x * 2

    def dependents(self) -> str:
        return "mine"

    def forward(self, x: Tensor) -> Tensor:
        return self.substitute(self.layer(x)) + len(self.dependents())


class WithProperties(Base):
    def __init__(self) -> None:
        super().__init__()
        self._gain = nn.Parameter(torch.randn(2))

    @property
    def gain(self) -> Tensor:
        return self._gain.exp()

    @gain.setter
    def gain(self, value: Tensor) -> None:
        self._gain = nn.Parameter(value.log())

    @property
    def broken(self) -> Tensor:
        raise RuntimeError("broken property")

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.gain


class ReadingParameters(Base):
    """Reads dtype off its parameters and regularises over them."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(next(self.parameters()).dtype)
        size = sum(p.square().sum() for p in self.parameters())
        named = dict(self.named_parameters())
        return self.layer(x) * size * named["layer.bias"] + len(list(self.buffers()))


class BuildingInside(Base):
    """Makes modules in forward, and slices a container."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
        self.many = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.chain[:2](x)
        for layer in self.many[1:]:
            x = nn.Sequential(layer, nn.Tanh())(x)
        return self.layer(x)


class Own(nn.Linear):
    """A user's subclass of a layer of torch that overrides forward."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 10


class OwnOfOwn(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class Inheriting(nn.Linear):
    """A user's subclass that overrides nothing of the computation."""


class Nested(Base):
    class Inner(Base):
        pass

    def __init__(self) -> None:
        super().__init__()
        self.inner = Nested.Inner()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.inner(x)

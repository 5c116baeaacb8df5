"""Users' own classes for random trees. Each maps `(n, 4)` to `(n, 4)`, whatever is inside."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

WIDTH = 4
T = TypeVar("T")


def vector() -> nn.Parameter:
    return nn.Parameter(torch.randn(WIDTH))


# ── without modules inside ───────────────────────────────────────────────────────────────────


class Shaped(nn.Module):
    """Calls a layer on the same numbers in another shape, and takes the first of its results.

    A layer that takes more than one argument gets functions of these numbers, too.
    """

    def __init__(self, layer: nn.Module, *shape: int, times: int = 1) -> None:
        super().__init__()
        self.layer = layer
        self.shape = shape
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        given = x.reshape(-1, *self.shape)
        out = self.layer(*(given, given.sin(), given.tanh())[: self.times])
        return (out[0] if isinstance(out, tuple) else out).reshape(x.shape)


class Rowed(nn.Module):
    """Looks a vector up for each row."""

    def __init__(self, table: nn.Module, rows: Tensor) -> None:
        super().__init__()
        self.table = table
        self.register_buffer("rows", rows)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table(self.rows)


class OwnLinear(nn.Linear):
    """A user's subclass of a layer of torch that overrides forward."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).tanh() + self.bias


class Gains(nn.Module):
    """Weights in a list, in a dict, of its own, absent, and unused."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = nn.ParameterList([vector(), vector()])
        self.named = nn.ParameterDict({"one": vector(), "two": vector()})
        self.gain = vector()
        self.register_parameter("absent", None)
        self.unused = vector()

    def forward(self, x: Tensor) -> Tensor:
        for gain in self.listed:
            x = x * gain
        x = x + self.named["one"] * self.named["two"]
        return x * self.gain if self.absent is None else x


class OtherKinds(nn.Module):
    """A complex weight, one of lower precision, and one of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.randn(WIDTH, dtype=torch.complex128))
        self.coarse = nn.Parameter(torch.randn(WIDTH, dtype=torch.float32))
        self.order = nn.Parameter(torch.tensor([2, 0, 3, 1]), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, self.order % WIDTH] * self.turn).real + (x.float() * self.coarse).to(x.dtype)


class Tracking(nn.Module):
    """Buffers that a call replaces, or writes in place, one of which is not saved; attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(WIDTH))
        self.register_buffer("total", torch.randn(WIDTH), persistent=False)
        self.register_buffer("absent", None)
        self.calls = 0
        self.seen: list[Tensor] = []
        self.latest: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        out = x * (1 + 0.1 * self.calls) + self.mean + self.total + 0.1 * len(self.seen)
        if self.latest is not None:
            out = out + self.latest
        self.calls += 1
        self.seen.append(x.detach())
        self.latest = x.detach().mean(0)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
            self.total.add_(x.detach().sum(0), alpha=0.1)
        return out


class ReadingAll(nn.Module):
    """Regularises over `parameters()`, and looks `buffers()` and types up."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("shift", torch.randn(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(next(self.parameters()).dtype)
        size = sum(p.square().mean() for p in self.parameters())
        named = dict(self.named_parameters())
        return self.layer(x) * size + named["layer.bias"] + sum(self.buffers())


class Twins(nn.Module):
    """A weight under two names, a buffer under two, and one that looks at a weight's storage."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.other = vector()
        self.register_buffer("shift", torch.randn(WIDTH))
        self.register_buffer("also_shift", self.shift)
        self.register_buffer("start", self.one.detach())

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.shift.mul_(0.5)
        return x * self.one * self.other.cos() + self.also_shift + self.start


class Patched(nn.Module):
    """Its forward is put into the instance, and its layer knows it, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)
        object.__setattr__(self.layer, "owner", self)
        self.layer.known = [self.layer]
        self.gain = vector()
        self.forward = self.run

    def run(self, x: Tensor) -> Tensor:
        return self.layer.known[0](x) * self.layer.owner.gain


class OwnGetattr(nn.Module):
    """Looks unknown attributes up in its layer; has a property."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.factor = 0.7

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    @property
    def positive(self) -> Tensor:
        return F.softplus(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.positive.T * self.factor + self.bias


# ── with modules inside ──────────────────────────────────────────────────────────────────────


class OwnSequential(nn.Sequential):
    """A user's subclass of a container of torch that overrides forward."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


class Listing(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x).tanh()
        return x


class Naming(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({f"part_{i}": part for i, part in enumerate(parts)})

    def forward(self, x: Tensor) -> Tensor:
        return sum((part(x) for part in self.parts.values()), torch.zeros_like(x))


class Residual(nn.Module):
    """Its parts under names of their own, one of them absent, one under two names."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.first = parts[0]
        self.absent = None
        self.register_module("missing", None)
        self.rest = nn.Sequential(*parts[1:])
        self.also_first = parts[0]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rest(self.also_first(x)) if self.missing is None else x


class Gated(nn.Module):
    """A weight of its own after its parts; reads a weight of one of them."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)
        self.gain = vector()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(self.parts(x), self.layer.weight.tanh()) * self.gain
        return self.layer(x) + next(iter(self.parts[0].parameters()), self.gain).real.sum()


class Hiding(nn.Module):
    """Keeps its parts in a list, a partial, a method and a weak reference, too, and uses those."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.gain = vector()
        self.hidden = [*parts]
        self.named = {"first": (parts[0],)}
        self.scaled = functools.partial(self.scale, 0.5)
        self.parent = weakref.ref(self)

    def scale(self, factor: float, x: Tensor) -> Tensor:
        return x * self.gain * factor

    def forward(self, x: Tensor) -> Tensor:
        for part in self.hidden:
            x = self.scaled(part(x))
        return x + self.named["first"][0](x) + self.parent().gain


class Listening(nn.Module):
    """Hooks on its parts that are methods of its own, with a weight."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)
        self.gain = vector()
        self.parts.register_forward_hook(self.after)
        parts[0].register_forward_pre_hook(self.before)

    def before(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0] + self.gain,)

    def after(self, module: nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
        return out * self.gain

    def forward(self, x: Tensor) -> Tensor:
        return self.parts(x)


class KeptInEval(nn.Module):
    """Keeps its part in eval mode, as many users do with batch normalisation."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.part = nn.Sequential(*parts)

    def train(self, mode: bool = True) -> KeptInEval:
        super().train(mode)
        self.part.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x)


class Recomputed(nn.Module):
    """Activation checkpointing: its parts run once more in the backward pass."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.part = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.part, x, use_reentrant=False)


@dataclass(eq=False)
class AsDataclass(nn.Module):
    parts: Iterable[nn.Module]
    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__init__()
        self.inside = nn.ModuleList(self.parts)

    def forward(self, x: Tensor) -> Tensor:
        return sum((part(x) * self.factor for part in self.inside), x)


class OfKind(nn.Module, Generic[T]):
    """A generic module, with keyword arguments, that slices its container in forward."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.chain = nn.Sequential(*parts)

    def inner(self, x: Tensor, *, scale: float) -> Tensor:
        return self.chain[1:](x) * scale

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.chain[:1](x), scale=0.8)


HOLDERS: dict[str, Callable[..., nn.Module]] = {
    "Sequential": nn.Sequential,
    "AsDataclass": lambda *parts: AsDataclass(parts),
    **{
        kind.__name__: kind
        for kind in (
            OwnSequential,
            Listing,
            Naming,
            Residual,
            Gated,
            Hiding,
            Listening,
            KeptInEval,
            Recomputed,
            OfKind,
        )
    },
}

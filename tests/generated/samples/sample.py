"""What a sample is: a torch layer, how to construct it, and what to call it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Later:
    """A value made anew, from a seeded generator, each time a sample is used."""

    make: Callable[[torch.Generator], Any]
    text: str = "..."

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Given:
    """The arguments of one call, constructor or forward."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def made(self, generator: torch.Generator) -> Given:
        """The same arguments with every Later replaced by its value."""
        return Given(made(self.args, generator), made(self.kwargs, generator))

    def __str__(self) -> str:
        named = [f"{name}={shown(value)}" for name, value in self.kwargs.items()]
        return ", ".join([*map(shown, self.args), *named])


def shown(value: Any) -> str:
    """The same text in every process: no function's address."""
    return getattr(value, "__name__", None) or repr(value)


def of(*args: Any, **kwargs: Any) -> Given:
    """What the constructor is called with."""
    return Given(args, kwargs)


def on(*args: Any, **kwargs: Any) -> Given:
    """What forward is called with."""
    return Given(args, kwargs)


def made(value: Any, generator: torch.Generator) -> Any:
    """`value` with every Later inside it, at any depth, replaced by its value."""
    if isinstance(value, Later):
        return value.make(generator)
    if isinstance(value, dict):
        return {key: made(item, generator) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(made(item, generator) for item in value)
    return value


@dataclass(frozen=True)
class Missing:
    """Why torch itself gives no second derivative that others can be compared with.

    `error` is what torch says when asked; None: it says nothing and the number is wrong.
    """

    reason: str
    error: str | None
    modes: tuple[bool, ...] = (True, False)


@dataclass(frozen=True)
class HeldConstant:
    """What torch deliberately takes for constant: its derivative is that of another function.

    `at_second_order` is False where only the gradient leaves something out: the derivative of the
    gradient is right.
    """

    what: str
    modes: tuple[bool, ...] = (True, False)
    at_second_order: bool = True


@dataclass(frozen=True)
class Sample:
    """One way to construct and call one layer; all facts about it are tested from this."""

    layer: type[nn.Module]
    arguments: Given
    inputs: Given
    note: str = ""
    # How its contents are used, for a layer that has no forward of its own.
    call: Callable[..., Any] | None = None
    second_order: Missing | None = None
    held_constant: HeldConstant | None = None
    # Why torch's gradient is not that of its own output, nor metann's that of torch.
    wrong_gradient: str = ""
    tolerance: float = 1e-12
    # The messages of warnings that torch gives for this use of the layer, and may give here.
    warns: tuple[str, ...] = ()

    def has_second_order(self, training: bool) -> bool:
        """Whether torch has a right second derivative in this mode."""
        return self.second_order is None or training not in self.second_order.modes

    def derives_its_output(self, training: bool) -> bool:
        """Whether torch's second derivative in this mode is that of the gradient.

        A wrong one is not, nor is one that takes something for constant.
        """
        held = self.held_constant
        is_held = held is not None and training in held.modes and held.at_second_order
        return self.has_second_order(training) and not is_held

    def derives_its_output_once(self, training: bool) -> bool:
        """Whether torch's gradient in this mode is that of the output."""
        held = self.held_constant
        return not self.wrong_gradient and (held is None or training not in held.modes)

    def __str__(self) -> str:
        note = f": {self.note}" if self.note else ""
        return f"{self.layer.__name__}({self.arguments}){note}"

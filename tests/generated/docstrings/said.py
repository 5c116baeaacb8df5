"""The parts of a docstring, as values that can be compared with a real layer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from samples.sample import Sample
from torch import nn

from metann.registry import generated_counterparts

_DEPENDENT = re.compile(
    r"shape (?P<shape>.+?)"
    r"(?:, or None(?: with (?P<none_with>.+)| if (?P<none_if>.+))?)?"
    r"(?:, absent with (?P<absent_with>.+))?"
    r"(?:, if (?P<there_if>.+))?"
)
# "H is `proj_size or hidden_size`"
_DEFINITION = re.compile(r"\b([A-Z]) is `([^`]+)`")


@dataclass(frozen=True)
class SaidDependent:
    """A dependent, or several of one shape, in a line of a docstring.

    `none_with` and `absent_with` are of the constructor's arguments, `none_if` of attributes.
    """

    names: tuple[str, ...]
    shape: str
    none_with: str
    none_if: str
    absent_with: str

    @property
    def may_be_none(self) -> bool:
        """Whether the docstring says so."""
        return {self.none_with, self.none_if} != {"False"}


@dataclass(frozen=True)
class Said:
    """All that a docstring says of one layer."""

    summary: str
    shape: str = ""
    dependents: tuple[SaidDependent, ...] = ()
    other: tuple[str, ...] = ()
    holding: tuple[str, ...] = ()
    holds_modules: bool = False
    definitions: dict[str, str] = field(default_factory=dict)


@cache
def said_of(layer: type[nn.Module]) -> Said:
    """What the docstring of the layer's counterpart says."""
    text = inspect.cleandoc(generated_counterparts()[layer].__doc__ or "")
    summary, _, listed = text.partition("\nDependents:\n")
    lines = [line.strip().removesuffix(".") for line in listed.splitlines()]
    holding = next((line for line in lines if line.startswith("those of its submodule")), "")
    parts = [_dependent(line) for line in lines if not line.startswith("those of")]
    shape = re.search(r"^Shape: (.*?)\.\n", summary, re.MULTILINE | re.DOTALL)
    return Said(
        summary,
        " ".join(shape[1].split()) if shape else "",
        tuple(part for part in parts if isinstance(part, SaidDependent)),
        tuple(part for part in parts if isinstance(part, str)),
        tuple(re.sub(r"those of its submodules? ", "", holding).split(", ")) if holding else (),
        "those of the modules in it" in lines,
        dict(_DEFINITION.findall(summary)),
    )


def _dependent(line: str) -> SaidDependent | str:
    names, _, text = line.partition(": ")
    match = _DEPENDENT.fullmatch(text)
    if match is None:
        return line
    absent = f"not ({match['there_if']})" if match["there_if"] else _one_of(match["absent_with"])
    return SaidDependent(
        names=tuple(names.split(", ")),
        shape=match["shape"],
        none_with=_one_of(match["none_with"]),
        none_if=match["none_if"] or "False",
        absent_with=absent,
    )


def _one_of(options: str | None) -> str:
    """Example: "affine=False or bias=False" -> the same as an expression."""
    return (options or "False").replace("=", " == ")


def arguments_of(sample: Sample) -> dict[str, Any]:
    """What the constructor is called with, by name, and its defaults."""
    signature = inspect.signature(sample.layer.__init__)
    made = sample.arguments.made(torch.Generator().manual_seed(1))
    bound = signature.bind(None, *made.args, **made.kwargs)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name != "self"}


class Names(dict[str, Any]):
    """What the words of a docstring stand for: attributes of a layer, and what else is known.

    Example: `kernel_size` is (2, 2) in the layer, where its constructor takes 2, too.
    """

    def __init__(self, layer: nn.Module, **known: Any) -> None:
        super().__init__(known)
        self.layer = layer

    def also(self, **known: Any) -> Names:
        """The same, and more."""
        return Names(self.layer, **dict(self) | known)

    def __missing__(self, name: str) -> Any:
        try:
            return getattr(self.layer, name)
        except AttributeError:
            raise KeyError(name) from None


def evaluated(expression: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression of a docstring."""
    return eval(expression, {}, names)

"""Plans the docstring of a counterpart: what is shown when hovering over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from metann.codegen.dependents import all_dependents
from metann.codegen.library import Library
from metann.codegen.model import DependentPlan, DocstringPlan
from metann.codegen.source import SourceClass
from metann.codegen.words import WORDS
from metann.codegen.words.entry import Words

# A layer that a later torch brings is written without them, until somebody adds its words.
_NONE = Words("")


def plan_docstring(
    library: Library, source: SourceClass, shown: str, submodules: Mapping[str, SourceClass]
) -> DocstringPlan:
    """What the docstring says; `shown` is the layer's public name.

    Example: LSTMCell -> its formula, its shapes, and four dependents, which RNNCellBase registers
    """
    words = WORDS.get(shown, _NONE)
    holding = words.holds or _submodules(library, submodules)
    lines = list(_dependents(words, all_dependents(library, source)))
    if holding:
        lines.append(f"those of {holding}.")
    return DocstringPlan(words.computes, words.more, words.shape, tuple(lines))


def _dependents(words: Words, found: Iterable[DependentPlan]) -> Iterator[str]:
    """Example: "bias: shape (out_features,), or None with bias=False."."""
    said = {item.name: item.description for item in found} | dict(words.dependents)
    return (f"{name}: {text}." for name, text in said.items())


def _submodules(library: Library, submodules: Mapping[str, SourceClass]) -> str:
    """Example: "its submodules linear1, linear2"; not dropout, which has none."""
    names = [name for name, kind in submodules.items() if all_dependents(library, kind)]
    if not names:
        return ""
    return f"its submodule{'s' if len(names) > 1 else ''} {', '.join(names)}"

"""A file that asks a checker for the types of every layer's constructor and call."""

from __future__ import annotations

import re
from collections.abc import Iterable

from checkers import Finding

from metann.generated._table import FILES

NAME = "revealing_every_layer"
METHODS = ("__init__", "__call__")
ASKED = [(layer, method) for layer in FILES for method in METHODS]
# What the three checkers write for a type that is not known; `Called` is what a forward says.
UNKNOWN = re.compile(r"\bAny\b|\bUnknown\b|\bCalled\b|\.\.\.\)")


def text() -> str:
    """One question a line; the lines above are as many as `revealed` takes off."""
    questions = [f"reveal_type(generated.{layer}.{method})" for layer, method in ASKED]
    return "\n".join(["from metann import generated", *questions, ""])


def revealed(findings: Iterable[Finding]) -> dict[tuple[str, str], str]:
    """The answers: a layer and a method -> its type, as the checker writes it."""
    answers = (found for found in findings if NAME in found.file and found.severity != "error")
    return {ASKED[found.line - 2]: found.message for found in answers}

"""The fenced blocks of a document."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the rest of its first line, and its text."""

    language: str
    note: str
    text: str


def blocks_of(document: str) -> list[Block]:
    """All blocks, in order."""
    return [Block(*match.groups(default="")) for match in _FENCE.finditer(document)]

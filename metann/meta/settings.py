"""What every relative of MAML passes on to it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypedDict

from metann.batching import How
from metann.meta.selection import Filter
from metann.meta.statistics import Policy


class Settings(TypedDict, total=False):
    """Arguments of `MAML` that all algorithms on it have, with the same meaning."""

    clear_filter: Filter
    names: Collection[str] | None
    tasks: How
    checkpoint: bool
    mixed_mode: bool
    buffers: Policy

"""The tensors in what a model returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def fields(output: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of an output, with the name of its field. Example: `.hidden_states[0]`."""
    if isinstance(output, Tensor):
        yield path, output
    elif isinstance(output, dict):
        for name, value in output.items():
            yield from fields(value, f"{path}.{name}")
    elif isinstance(output, (tuple, list)):
        for number, value in enumerate(output):
            yield from fields(value, f"{path}[{number}]")

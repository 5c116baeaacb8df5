"""One call a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from metann.batching.axes import Arguments, require_constant
from metann.batching.trees import Together, taken_apart
from metann.errors import BatchingError


def called_in_turn(function: Callable[..., Any], given: Arguments, randomness: str) -> Any:
    """Call `function` for one task after the other, and stack the tensors in the results.

    Raises:
        BatchingError: a `ValueError`; the results of two tasks do not fit on top of each other.
    """
    state = torch.get_rng_state() if randomness == "same" else None
    rows: list[list[Any]] = []
    together: Together = next
    for leaves in _tasks(given):
        if state is not None:
            torch.set_rng_state(state)
        row: list[Any] = []
        together = taken_apart(function(*given.together(iter(leaves))), row)
        rows.append(row)
    return together(iter(_stacked(rows)))


def _tasks(given: Arguments) -> Iterator[tuple[Any, ...]]:
    """The leaves of each task. `unbind`, as the gradient of all is then stacked once."""
    columns = [
        [leaf] * given.tasks if axis is None else leaf.unbind(axis)
        for leaf, axis in zip(given.leaves, given.axes, strict=True)
    ]
    return zip(*columns, strict=True)


def _stacked(rows: list[list[Any]]) -> list[Any]:
    """One value for all tasks, at each place; of what is no tensor the first task's."""
    shapes = {tuple(x.shape if isinstance(x, Tensor) else None for x in row) for row in rows}
    if len(shapes) > 1:
        raise BatchingError(
            "the results of all tasks are stacked, so they must have the same shapes, got "
            f"{' and '.join(str([*map(_look, row)]) for row in _differing(rows))}. Return what has "
            "one shape: a loss, a mean, or a padded tensor."
        )
    for value in rows[0]:
        if not isinstance(value, Tensor):
            require_constant(value)
    columns = zip(*rows, strict=True)
    return [torch.stack(c) if isinstance(c[0], Tensor) else c[0] for c in columns]


def _differing(rows: list[list[Any]]) -> list[list[Any]]:
    """The first row, and the first one of another look."""
    looks = [[*map(_look, row)] for row in rows]
    return [rows[0], next(row for row, look in zip(rows, looks, strict=True) if look != looks[0])]


def _look(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__

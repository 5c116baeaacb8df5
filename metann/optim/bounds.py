"""Least and largest values: of tensors, and of hyper-parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import cast, overload

import torch
from torch import Tensor

from metann.errors import ArgumentError, OptimizerError
from metann.optim.hyper import PerStep, Value, require


@overload
def at_least(value: Tensor, low: Value) -> Tensor: ...
@overload
def at_least(value: Value, low: Value) -> Value: ...
def at_least(value: Value, low: Value) -> Value:
    """The larger of the two; at a tie its derivative is that of `value`."""
    if not isinstance(value, (int, float)):
        return torch.clamp(value, min=low)
    return max(value, low) if isinstance(low, (int, float)) else torch.clamp(low, min=value)


@overload
def at_most(value: Tensor, high: Value) -> Tensor: ...
@overload
def at_most(value: Value, high: Value) -> Value: ...
def at_most(value: Value, high: Value) -> Value:
    """The smaller of the two; at a tie its derivative is that of `value`."""
    if not isinstance(value, (int, float)):
        return torch.clamp(value, max=high)
    return min(value, high) if isinstance(high, (int, float)) else torch.clamp(high, max=value)


def require_at_most(name: str, hyper: object, high: float, low: float = 0.0) -> None:
    """Refuse what is no hyper-parameter, and numbers outside of [low, high].

    Raises:
        OptimizerError: a number is out of this range.
        ArgumentError: it is of another type.
    """
    require(name, hyper, low=low)
    for number in numbers_in(hyper):
        if number > high:
            raise OptimizerError(
                f"{name} must be at most {high:g}, got {number!r}. Give a number in this range."
            )


def require_tuple(name: str, values: object, meanings: Sequence[str], low: float = -inf) -> None:
    """Refuse what is no tuple with a hyper-parameter for each of these meanings.

    Raises:
        OptimizerError: a number is less than `low`.
        ArgumentError: it is of another type or length.
    """
    found = cast("Sequence[object]", values)
    if not isinstance(values, (list, tuple)) or len(found) != len(meanings):
        raise ArgumentError(
            f"{name} must be a tuple of {len(meanings)} hyper-parameters, got {values!r}. Give "
            f"({', '.join(meanings)}), each a number, a tensor, or a value for each parameter or "
            "step."
        )
    for index, hyper in enumerate(found):
        require(f"{name}.{index}", hyper, low=low)


def numbers_in(hyper: object) -> Iterator[float]:
    """The plain numbers in a hyper-parameter; the values of tensors are not looked at."""
    inside = hyper.values if isinstance(hyper, PerStep) else hyper
    if isinstance(inside, (list, tuple)):
        for value in cast("Sequence[object]", inside):
            yield from numbers_in(value)
    elif isinstance(inside, (int, float)):
        yield inside

"""Hyper-parameters: for all parameters or for each, for all steps or for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias, cast

from torch import Tensor, nn

from metann.errors import ArgumentError, OptimizerError, shown

Value: TypeAlias = "float | Tensor"
Each: TypeAlias = "float | Tensor | Sequence[float | Tensor] | nn.ParameterList"
Hyper: TypeAlias = "float | Tensor | Sequence[float | Tensor] | nn.ParameterList | PerStep"
"""What a hyper-parameter may be: a number, or a tensor, which may be learned; a list, tuple or
`nn.ParameterList` with one of these for each parameter; `PerStep`. A tensor broadcasts to the
parameter that it is for, as a scalar does."""


class PerStep:
    """A value of a hyper-parameter for each call of `step`; the last one holds on.

    Args:
        values: each a number, a tensor, or a sequence with a value for each parameter.

    Raises:
        OptimizerError: there is no value.

    Source: MAML++ (Antoniou et al. 2019, arXiv 1810.09502) learns a learning rate for each step.
    """

    def __init__(self, values: Sequence[Each] | nn.ParameterList) -> None:
        if len(values) == 0:
            raise OptimizerError(
                "PerStep needs a value for each step, got none. Give at least one: the last "
                "one holds for all steps that follow."
            )
        self.values = values

    def at(self, count: int) -> Each:
        """The value for the call after `count` calls of `step`."""
        return self.values[min(count, len(self.values) - 1)]

    def __repr__(self) -> str:
        return f"PerStep({list(self.values)!r})"


def per_group(values: Sequence[Value], sizes: Sequence[int]) -> list[Value]:
    """A value for each parameter, from a value for each group of so many parameters.

    Raises:
        OptimizerError: there is not one size for each value.

    Example:
        >>> per_group([0.1, 0.01], [2, 1])
        [0.1, 0.1, 0.01]
    """
    if len(values) != len(sizes):
        raise OptimizerError(
            f"Each group has a value and a size, got {len(values)} values and {len(sizes)} sizes. "
            "Give lists of one length."
        )
    return [value for value, size in zip(values, sizes, strict=True) for _ in range(size)]


@dataclass(slots=True)
class Place:
    """Where a hyper-parameter is asked for: in which call of `step`, for which parameter.

    Called with a hyper-parameter, it returns the number or tensor that holds there; a tensor
    has the dtype and device of the parameter. A complex parameter is worked on as pairs of real
    numbers, and a tensor has a last axis for them.
    """

    param: Tensor
    index: int
    number: int
    """How many parameters there are."""
    count: int
    """How many calls of `step` there were before."""

    def __call__(self, hyper: Hyper) -> Value:
        """The value of a hyper-parameter here."""
        if isinstance(hyper, float):
            return hyper
        each = hyper.at(self.count) if isinstance(hyper, PerStep) else hyper
        if isinstance(each, Tensor):
            return self._fitted(each)
        if isinstance(each, (int, float)):
            return float(each)
        if len(each) != self.number:
            raise OptimizerError(
                f"A hyper-parameter with a value for each parameter has {len(each)} values, but "
                f"there are {self.number} parameters. Give one value a parameter, or one for all."
            )
        value = each[self.index]
        return self._fitted(value) if isinstance(value, Tensor) else float(value)

    def _fitted(self, value: Tensor) -> Tensor:
        param = self.param
        if value.ndim and not broadcasts(value.shape, param.shape):
            raise OptimizerError(
                f"A hyper-parameter of shape {tuple(value.shape)} does not broadcast to parameter "
                f"{self.index} of shape {tuple(param.shape)}. Give a scalar, or a value for each "
                "parameter of a shape that does."
            )
        if param.is_complex():
            return (value.unsqueeze(-1) if value.ndim else value).to(param.device, param.real.dtype)
        if value.dtype == param.dtype and value.device == param.device:
            return value
        return value.to(param.device, param.dtype)


def broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether a tensor of one shape becomes one of the other by broadcasting.

    Example: (3,) and (2, 1) both become (2, 3).
    """
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(size in {1, other} for size, other in pairs)


def parameters_in(hyper: object, name: str) -> Iterator[tuple[str, nn.Parameter]]:
    """Every `nn.Parameter` in a hyper-parameter, under the name that leads to it."""
    inside: object = cast("object", hyper.values) if isinstance(hyper, PerStep) else hyper
    if isinstance(inside, nn.Parameter):
        yield name, inside
    elif isinstance(inside, (list, tuple, nn.ParameterList)):
        values = cast("Sequence[object]", inside)
        for index in range(len(values)):
            yield from parameters_in(values[index], f"{name}.{index}")


def replaced(hyper: object, by: Mapping[int, Tensor]) -> object:
    """The same hyper-parameter with other tensors for some `nn.Parameter`s, by their identity."""
    if isinstance(hyper, nn.Parameter):
        return by.get(id(hyper), hyper)
    if isinstance(hyper, PerStep):
        return PerStep([cast("Each", replaced(value, by)) for value in hyper.values])
    if isinstance(hyper, (list, tuple, nn.ParameterList)):
        values = cast("Sequence[object]", hyper)
        inside = [replaced(values[index], by) for index in range(len(values))]
        return tuple(inside) if isinstance(hyper, tuple) else inside
    return hyper


def require(name: str, hyper: object, low: float = 0.0, below: float = inf) -> None:
    """Refuse what is no hyper-parameter, and numbers outside of [low, below).

    Tensors may be learned: their values are not looked at.

    Raises:
        OptimizerError: a number is out of this range.
        ArgumentError: it is of another type.
    """
    if isinstance(hyper, PerStep):
        for step, value in enumerate(hyper.values):
            _require_each(f"{name}.{step}", value, low, below)
    else:
        _require_each(name, hyper, low, below)


def _require_each(name: str, each: object, low: float, below: float) -> None:
    """Refuse what is neither a value nor a sequence of these."""
    if isinstance(each, (list, tuple, nn.ParameterList)):
        values = cast("Sequence[object]", each)
        for index in range(len(values)):
            _require_value(f"{name}.{index}", values[index], low, below)
    else:
        _require_value(name, each, low, below)


def _require_value(name: str, value: object, low: float, below: float) -> None:
    """Refuse what is no number in [low, below), and no tensor."""
    if isinstance(value, Tensor):
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ArgumentError(
            f"{name} must be a number, a tensor, a list of these with one for each parameter, or "
            f"PerStep with one for each step, got {shown(value)} of type {type(value).__name__}. "
            "Turn it into one of these."
        )
    if not low <= value < below:
        limit = "" if below == inf else f" and below {below:g}"
        raise OptimizerError(
            f"{name} must be at least {low:g}{limit}, got {value!r}. Give a number in this range."
        )


def require_flags(**flags: object) -> None:
    """Refuse what is neither True nor False.

    Raises:
        ArgumentError: there is something else.
    """
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise ArgumentError(
                f"{name} must be True or False for all parameters, got {flag!r}. Where parameters "
                "differ, make an optimiser for each kind."
            )


def require_betas(betas: object) -> None:
    """Refuse what is no pair of hyper-parameters in [0, 1).

    Raises:
        OptimizerError: a number is out of this range.
        ArgumentError: it is no pair.
    """
    pair = cast("Sequence[object]", betas)
    if not isinstance(betas, (list, tuple)) or len(pair) != 2:
        raise ArgumentError(
            f"betas must be a pair of hyper-parameters, got {betas!r}. Give (beta1, beta2), each "
            "a number, a tensor, or a value for each parameter or step."
        )
    require("betas.0", pair[0], below=1.0)
    require("betas.1", pair[1], below=1.0)

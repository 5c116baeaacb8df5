"""One call for all tasks: in one pass where that can be, in a loop where not."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any, Literal, TypeVar, get_args
from weakref import WeakKeyDictionary

import torch

from metann.batching.axes import Arguments, Axes, arguments_of
from metann.batching.looped import called_in_turn
from metann.batching.vectorised import called_at_once
from metann.errors import ArgumentError, LoopWarning, MetannError
from metann.functional.slower import SlowerAtOnceError, asking
from metann.functional.transforms import is_compiling

logger: logging.Logger = logging.getLogger(__name__)
How = Literal["auto", "vectorised", "loop"]
Randomness = Literal["different", "same"]
OutputT = TypeVar("OutputT")
_HOW, _RANDOMNESS = get_args(How), get_args(Randomness)


class Way:
    """How calls for all tasks are made; it remembers that one was not made in one pass.

    Args:
        how: "vectorised": in one pass, or an error; "loop": one call a task; "auto": in one pass
            if that can be done and is not slower, else in a loop, from then on.

    Raises:
        ArgumentError: a `TypeError`; `how` is none of these.
    """

    def __init__(self, how: How = "auto") -> None:
        _require(how, _HOW, "how")
        self.how: How = how
        self.loops: bool = how == "loop"


def over_tasks(
    function: Callable[..., OutputT],
    *args: Any,
    how: How | Way = "auto",
    in_dims: Axes = 0,
    randomness: Randomness = "different",
) -> OutputT:
    """Call `function` for all tasks at once.

    Take gradients outside, of the sum of what it returns: that is faster than inside.

    Args:
        function: takes what belongs to one task, as for `torch.vmap`.
        args: tensors with a leading task axis, alone or in lists, tuples, dicts and other pytrees
            of torch; what is no tensor, such as None, is given to every task as it is.
        how: "vectorised": in one pass, by `torch.vmap`; "loop": one call a task; "auto": in one
            pass, or in a loop if torch refuses to do that, with a `LoopWarning` at the first time,
            or if that is faster (large convolutions on the CPU), which the log says. A `Way` in its
            place remembers it for a caller whose functions are new each time.
        in_dims: where the task axis is, if not in front; one number for all arguments, or for each
            a number, or None for what all tasks share.
        randomness: whether dropout and the like draw "different" numbers for each task, or the
            "same".

    Returns:
        what `function` returns, with a leading task axis on every tensor; of what is no tensor,
        the first task's.

    Raises:
        BatchingError: a `ValueError`; task axes differ in size, or results in shape.
        ArgumentError: a `TypeError`; `how` or `randomness` is none of these.

    Example:
        >>> over_tasks(lambda w, x: (w * x).sum(), torch.ones(3, 2), torch.ones(3, 2))
        tensor([2., 2., 2.])

    Source: torch.vmap.
    """
    _require(randomness, _RANDOMNESS, "randomness")
    way = how if isinstance(how, Way) else _way_of(function, how)
    given, name = arguments_of(args, in_dims), name_of(function)
    result: OutputT = called(function, given, way, name, randomness)
    return result


def called(
    function: Callable[..., Any],
    given: Arguments,
    way: Way,
    name: str,
    randomness: Randomness = "different",
) -> Any:
    """What `over_tasks` does once its arguments have been looked at; `name` is for messages."""
    if way.loops:
        return called_in_turn(function, given, randomness)
    if way.how == "vectorised" or is_compiling():  # The compiler reports its own refusals.
        return called_at_once(function, given, randomness)
    return _tried(function, given, way, name, randomness)


def _tried(
    function: Callable[..., Any], given: Arguments, way: Way, name: str, randomness: Randomness
) -> Any:
    """In one pass; in a loop if torch refuses, or an operation says that this is faster.

    Whether an error comes from batching its words do not always say. What fails in a loop as well
    is the function's own. The loop begins when the error is let go: it holds on to the graph of the
    attempt.
    """
    slower, refusal = "", ""
    try:
        with asking():
            return called_at_once(function, given, randomness)
    except (MetannError, torch.cuda.OutOfMemoryError):
        raise
    except SlowerAtOnceError as error:
        slower = str(error)
    except RuntimeError as error:
        refusal = _first_sentence(error)
    if slower:
        way.loops = True
        logger.info("%s is called once for each of %d tasks: %s", name, given.tasks, slower)
        return called_in_turn(function, given, randomness)
    result = called_in_turn(function, given, randomness)
    way.loops = True
    warnings.warn(
        f"one pass over {given.tasks} tasks was asked for, but {name} cannot be batched: "
        f"{refusal}. From now on it is called once a task, with the same results. "
        'It may stay so: warnings.simplefilter("ignore", LoopWarning), or tasks="loop" in MAML '
        'and how="loop" in over_tasks.',
        LoopWarning,
        stacklevel=4,
    )
    return result


# What is known of functions that were given without a `Way`.
_ways: WeakKeyDictionary[Callable[..., Any], Way] = WeakKeyDictionary()


def _way_of(function: Callable[..., Any], how: How) -> Way:
    if how != "auto":
        return Way(how)
    try:
        return _ways.get(function) or _ways.setdefault(function, Way())
    except TypeError:  # It cannot be looked up, or not be referred to weakly.
        return Way()


def _first_sentence(error: RuntimeError) -> str:
    """Example: "vmap: It looks like you're calling .item() on a Tensor"."""
    return str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")


def name_of(function: Callable[..., Any]) -> str:
    """As a message should say it."""
    # torch.compile cannot follow the name of a function made while it traces.
    if is_compiling():
        return "the function"
    name = "__name__" if isinstance(function, BuiltinFunctionType) else "__qualname__"
    return str(getattr(function, name, None) or repr(function))


def _require(value: object, known: tuple[str, ...], name: str) -> None:
    if value not in known:
        raise ArgumentError(
            f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}. See "
            "help(metann.batching.over_tasks) for what each does."
        )

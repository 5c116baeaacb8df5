"""What metann raises: each message says what was asked, what was found, and what to do."""

from __future__ import annotations

from typing import cast

_LONGEST = 120


class MetannError(Exception):
    """Base of every error that metann raises itself."""


class ConversionError(MetannError, TypeError):
    """The thing given cannot be turned into a dependent module."""


class NoCounterpartError(ConversionError):
    """There is no pre-generated counterpart, and none may, or can, be written."""


class UninitializedModuleError(MetannError, ValueError):
    """A lazy module has not seen data yet, so its parameters have no shape."""


class SubstitutionError(MetannError, ValueError):
    """The tensors given do not fit the dependents; nothing was changed."""


class NoSecondOrderError(MetannError, RuntimeError):
    """A fused kernel of torch was asked for a second derivative that cannot be computed again."""


class ArgumentError(MetannError, TypeError):
    """An argument is of a type that makes no sense."""


class DependentNameError(MetannError, KeyError):
    """A dependent cannot be registered under this name."""

    def __str__(self) -> str:
        # KeyError would show the quoted repr of the sentence.
        return str(self.args[0])


class DependentTypeError(MetannError, TypeError):
    """A dependent's name or value is of the wrong type."""


class BatchingError(MetannError, ValueError):
    """Tensors for several tasks do not fit together."""


class LoopWarning(UserWarning):
    """What was to be done for all tasks in one pass can only be done for one after the other."""


class StatisticsWarning(UserWarning):
    """A normalisation is to use running statistics that have never seen data."""


class TaskError(MetannError, ValueError):
    """Episodes cannot be drawn as asked; nothing was drawn."""


class LinearSolveError(MetannError, ArithmeticError):
    """The linear system of an implicit gradient has no finite solution, or not a meaningful one."""


class ThirdOrderError(MetannError, RuntimeError):
    """An implicit gradient was to be differentiated itself."""


class NotConvergedWarning(UserWarning):
    """An iterative solver stopped before it was as exact as asked."""


class OptimizerError(MetannError, ValueError):
    """What an optimiser is given does not fit: a hyper-parameter, gradients or a state."""


class RecomputingError(MetannError, RuntimeError):
    """An inner step cannot be computed again in the backward pass, or does something else then."""


class MixedModeError(MetannError, RuntimeError):
    """The gradient of an inner step cannot be differentiated in forward mode, or not again."""


class CompatError(MetannError, ValueError):
    """A call by the names of another library does not fit what there is."""


class HistoryWarning(UserWarning):
    """What is to be differentiated leads back into a computation that is over."""


def shown(value: object) -> str:
    """A value in a message, in a few words: of a tensor its shape, not its numbers.

    Example: "a Tensor of shape (8, 3)", "'maybe'", "tensor(2.)"
    """
    shape: object = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"a {type(value).__name__} of shape {tuple(cast('tuple[object, ...]', shape))}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

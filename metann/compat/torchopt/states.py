"""Whether what an optimiser remembers is of these parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor

from metann.compat.torchopt.trees import Leaf
from metann.errors import OptimizerError
from metann.optim import State


def require_of_these(state: object, leaves: Sequence[Leaf]) -> None:
    """Raise unless all moments in a state have the shapes of these tensors.

    Args:
        state: what a transformation remembers, or a chain of them.
        leaves: parameters or gradients; one that is None has any shape.

    Raises:
        OptimizerError: the state is one of other parameters, or of more or fewer.
    """
    for found in _states_in(state):
        for name, column in found.slots.items():
            _require_column(name, column, leaves)


def _require_column(name: str, column: Sequence[Tensor | None], leaves: Sequence[Leaf]) -> None:
    if len(column) != len(leaves):
        raise _misfit(f"it has {name} of {len(column)} parameters, and there are {len(leaves)}")
    for index, (moment, leaf) in enumerate(zip(column, leaves, strict=True)):
        if moment is not None and leaf is not None and moment.shape != leaf.shape:
            raise _misfit(
                f"{name} of parameter {index} has shape {tuple(moment.shape)}, the parameter has "
                f"{tuple(leaf.shape)}"
            )


def _misfit(what: str) -> OptimizerError:
    return OptimizerError(
        f"the state is one of other parameters: {what}. Give what init(params), the last step or "
        "extract_state_dict(optimizer) returned for these parameters."
    )


def _states_in(state: object) -> Iterator[State]:
    if isinstance(state, State):
        yield state
    elif isinstance(state, tuple):
        for part in cast("tuple[object, ...]", state):
            yield from _states_in(part)

"""Gradient transformations: pairs of pure functions, and chains of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from metann.compat.torchopt.trees import Leaf, TreeT, leaves_like, leaves_of, rebuilt
from metann.errors import ArgumentError, OptimizerError

OptState = object
"""What a transformation remembers; a tree of tensors and numbers."""


class Init(Protocol):
    """Makes the state before the first update."""

    def __call__(self, params: object) -> OptState:
        """The state for a tree of parameters."""
        ...


class Update(Protocol):
    """Makes updates of gradients, or others of updates."""

    def __call__(
        self,
        updates: TreeT,
        state: OptState,
        *,
        params: object = None,
        inplace: bool = True,
    ) -> tuple[TreeT, OptState]:
        """Updates and new state; nothing that was given is changed, whatever `inplace` says."""
        ...


class GradientTransformation(NamedTuple):
    """Two functions: `init(params) -> state` and `update(grads, state) -> (updates, state)`.

    Source: the class of this name in TorchOpt 0.7.
    """

    init: Init
    update: Update

    def chain(self, following: GradientTransformation) -> GradientTransformation:
        """This one, and then another."""
        return chain(self, following)


class EmptyState(NamedTuple):
    """Of a transformation that remembers nothing."""


class UninitializedState(NamedTuple):
    """Of an optimiser that has not taken a step."""


def chain(*transformations: GradientTransformation) -> GradientTransformation:
    """One transformation after another, in this order; its state is the tuple of theirs.

    Example:
        >>> chain(clip_grad_norm(max_norm=2.0), adam(1e-1))
    """

    def init(params: object) -> OptState:
        return tuple(part.init(params) for part in transformations)

    def update(
        updates: TreeT, state: OptState, *, params: object = None, inplace: bool = True
    ) -> tuple[TreeT, OptState]:
        states: list[OptState] = []
        for part, own in zip(transformations, parts_of(state, len(transformations)), strict=True):
            updates, changed = part.update(updates, own, params=params, inplace=inplace)
            states.append(changed)
        return updates, tuple(states)

    return GradientTransformation(init, update)


def parts_of(state: OptState, number: int) -> tuple[OptState, ...]:
    """The states of the parts of a chain.

    Raises:
        OptimizerError: it is the state of something else.
    """
    parts: Any = state
    if type(state) is not tuple or len(parts) != number:
        raise OptimizerError(
            f"the state of a chain of {number} transformations is a tuple of {number}, got "
            f"{type(parts).__name__}. Give what init(params) or the last update returned."
        )
    return cast("tuple[OptState, ...]", parts)


def require_transformation(impl: object) -> None:
    """Raise unless it is a gradient transformation.

    Raises:
        ArgumentError: it is something else.
    """
    if not isinstance(impl, GradientTransformation):
        raise ArgumentError(
            f"impl must be a gradient transformation, got {type(impl).__name__}. Give "
            "torchopt.adam(1e-2), for example, or a chain with it at the end."
        )


def on_leaves(
    init: Callable[[list[Tensor]], OptState],
    update: Callable[[list[Leaf], OptState, list[Leaf] | None], tuple[list[Leaf], OptState]],
) -> GradientTransformation:
    """A transformation of trees from two functions on lists of their leaves.

    Args:
        init: makes the state of parameters.
        update: makes updates and new state of gradients (or None), state and parameters; the
            last are None if they are not given. Gradients and parameters that belong together
            stand at the same place, whatever the order of the keys was.
    """

    def of_tree(params: object) -> OptState:
        return init([torch.zeros(()) if leaf is None else leaf for leaf in leaves_of(params)])

    def on_tree(
        updates: TreeT,
        state: OptState,
        *,
        params: object = None,
        inplace: bool = True,  # noqa: ARG001  # Gradients are never overwritten.
    ) -> tuple[TreeT, OptState]:
        leaves = leaves_of(updates)
        known = None if params is None else leaves_like(updates, params)
        changed, after = update(leaves, state, known)
        return rebuilt(updates, changed), after

    return GradientTransformation(of_tree, on_tree)


def each(function: Callable[[Tensor], Tensor]) -> GradientTransformation:
    """A transformation that does the same with every gradient, and remembers nothing."""

    def update(
        updates: list[Leaf],
        state: OptState,
        params: list[Leaf] | None,  # noqa: ARG001
    ) -> tuple[list[Leaf], OptState]:
        return [None if leaf is None else function(leaf) for leaf in updates], state

    return on_leaves(lambda _: EmptyState(), update)

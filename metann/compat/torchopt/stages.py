"""The stages that an optimiser of TorchOpt is a chain of, each from `metann.optim`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import torch
from torch import Tensor

from metann.compat.torchopt.base import EmptyState, GradientTransformation, OptState, on_leaves
from metann.compat.torchopt.states import require_of_these
from metann.compat.torchopt.trees import Leaf, TreeT, leaves_of, paired, rebuilt
from metann.errors import OptimizerError
from metann.optim import Optimizer, State
from metann.optim.arithmetic import is_zero, penalised
from metann.optim.hyper import Value, require

Schedule: TypeAlias = "Callable[[int], Value]"
"""From the number of updates so far to a learning rate."""
Rate: TypeAlias = "Value | Schedule"
Mask = Callable[[list[Leaf]], object]


def taken_by(optimizer: Optimizer, moment_requires_grad: bool = False) -> GradientTransformation:
    """What an optimiser of `metann.optim` would subtract from parameters, without its decay.

    Args:
        optimizer: with a learning rate of 1.
        moment_requires_grad: the moments that there are at the start are leaves that require a
            gradient, which nothing else depends on.
    """

    def init(params: list[Tensor]) -> OptState:
        state = optimizer.init([param.detach() for param in params])
        if moment_requires_grad:
            for column in state.slots.values():
                for moment in column:
                    if moment is not None:
                        moment.requires_grad_()
        return state

    def update(
        updates: list[Leaf],
        state: OptState,
        params: list[Leaf] | None,  # noqa: ARG001
    ) -> tuple[list[Leaf], OptState]:
        if not isinstance(state, State):
            raise OptimizerError(
                f"{type(optimizer).__name__} needs the state that init(params) or the last update "
                f"returned, got {type(state).__name__}. Call init(params) first."
            )
        require_of_these(state, updates)
        # From zero on, so that nothing is lost to rounding where parameters are large.
        zeros = [torch.zeros(()) if leaf is None else torch.zeros_like(leaf) for leaf in updates]
        stepped, after = optimizer.step(zeros, updates, state)
        moved = [None if leaf is None else -to for leaf, to in zip(updates, stepped, strict=True)]
        return moved, after

    return on_leaves(init, update)


def signed_and_decayed(weight_decay: Value, maximize: bool) -> GradientTransformation:
    """Gradients to go down by: those of the loss, or of its negative, and of the decay."""
    require("weight_decay", weight_decay)

    def change(grad: Tensor, param: Tensor) -> Tensor:
        return penalised(-grad if maximize else grad, param, weight_decay)

    return with_params("weight_decay", weight_decay, change, only_sign=maximize)


def decayed(weight_decay: Value, mask: object = None) -> GradientTransformation:
    """Updates and the parameters' decay, as AdamW adds it.

    Args:
        weight_decay: the factor.
        mask: a tree of bools of the structure of the parameters, or a function that makes a list
            of them of the list of parameters: True where there is decay. None for everywhere.
    """
    require("weight_decay", weight_decay)
    decay = with_params(
        "weight_decay", weight_decay, lambda update, param: penalised(update, param, weight_decay)
    )
    return decay if mask is None else masked(decay, mask)


def masked(stage: GradientTransformation, mask: object) -> GradientTransformation:
    """A stage that remembers nothing, but only where a mask says True; see `decayed`."""

    def update(
        updates: TreeT, state: OptState, *, params: object = None, inplace: bool = True
    ) -> tuple[TreeT, OptState]:
        changed, after = stage.update(updates, state, params=params, inplace=inplace)
        given = updates if params is None else params
        if callable(mask):
            chosen = paired(leaves_of(given), cast("Mask", mask)(leaves_of(given)))
        else:
            chosen = paired(updates, mask)
        pairs = zip(leaves_of(updates), leaves_of(changed), chosen, strict=True)
        return rebuilt(updates, [to if bool(on) else leaf for leaf, to, (*_, on) in pairs]), after

    return GradientTransformation(stage.init, update)


def with_params(
    name: str,
    factor: Value,
    change: Callable[[Tensor, Tensor], Tensor],
    *,
    only_sign: bool = False,
) -> GradientTransformation:
    """A stage that reads the parameters, unless its factor is 0."""
    reads = not is_zero(factor)

    def update(
        updates: list[Leaf], state: OptState, params: list[Leaf] | None
    ) -> tuple[list[Leaf], OptState]:
        if not reads and not only_sign:
            return updates, state
        if params is None and reads:
            raise OptimizerError(
                f"{name}={factor!r} needs the parameters, which were not given. Call "
                "update(grads, state, params=params)."
            )
        known = updates if params is None else params
        changed = [
            change(leaf, param) if leaf is not None and param is not None else leaf
            for leaf, param in zip(updates, known, strict=True)
        ]
        return changed, state

    return on_leaves(lambda _: EmptyState(), update)


def scaled(lr: Rate) -> GradientTransformation:
    """What is to be added to parameters: the update times the negative learning rate.

    Args:
        lr: a number or tensor, which may be learned, or a function of the number of updates.
    """
    if not callable(lr) or isinstance(lr, Tensor):
        require("lr", lr)

    def update(
        updates: list[Leaf],
        state: OptState,
        params: list[Leaf] | None,  # noqa: ARG001
    ) -> tuple[list[Leaf], OptState]:
        counts = cast("tuple[int, ...]", state)
        changed = [
            None if leaf is None else leaf * -rate_at(lr, count)
            for leaf, count in zip(updates, counts, strict=True)
        ]
        after = tuple(
            count + (leaf is not None) for leaf, count in zip(updates, counts, strict=True)
        )
        return changed, after

    return on_leaves(lambda params: (0,) * len(params), update)


def rate_at(lr: Rate, count: int) -> Value:
    """The learning rate after so many updates."""
    return lr if isinstance(lr, (int, float, Tensor)) else lr(count)

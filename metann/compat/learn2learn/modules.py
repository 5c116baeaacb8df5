"""Modules with weights that are results: cloned, updated and detached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from metann.dependents import named_weights, substitute
from metann.errors import CompatError
from metann.learner import Learner
from metann.module import DependentModule
from metann.optim import State
from metann.tree import walk

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Memo = dict[Tensor, Tensor]


def clone_module(module: ModuleT, memo: Memo | None = None) -> ModuleT:
    """Return a module with clones of the weights: gradients flow back to those of `module`.

    Nothing else is shared that could be written to: buffers and tables of hooks are copies, so
    that running statistics of `module` stay as they are. Tied weights and shared submodules stay
    tied and shared.

    Args:
        module: any module, a clone among them; it is not touched.
        memo: which weights have been cloned before, for modules that share weights; new ones are
            added.

    Returns:
        An instance of the counterpart of its class, which is a subclass of that.

    Raises:
        ConversionError: something in the module cannot be converted.
        UninitializedModuleError: a lazy module in it has not seen data.

    Source: the function of this name in learn2learn.
    """
    return cast("ModuleT", cloned(Learner(module), memo))


def cloned(learner: Learner[Any], memo: Memo | None = None) -> DependentModule:
    """A clone of the module of a learner."""
    made: Memo = {} if memo is None else memo
    weights = [weight for _, weight in weights_of(cast("nn.Module", learner.module))]
    for weight in weights:
        if weight not in made:
            made[weight] = weight.clone()
    clone: DependentModule = learner.bind([made[weight] for weight in weights])
    return clone


def update_module(
    module: ModuleT, updates: Sequence[Tensor | None] | None = None, memo: Memo | None = None
) -> ModuleT:
    """Add an update to each weight, in place of the weight, and return the module.

    The new weights have a graph to the old ones and to the updates. A module that has parameters
    becomes its counterpart, in place, as these cannot hold such weights.

    Args:
        module: any module.
        updates: in the order of `module.parameters()`; None leaves a weight as it is. By default
            the attributes `update` of the weights, which are used up.
        memo: which weights have been updated before, for modules that share weights; new ones are
            added.

    Raises:
        CompatError: a `ValueError`; there is not one update for each weight. Nothing has changed.

    Source: the function of this name in learn2learn.
    """
    names, weights = named(module)
    given = [*map(_taken, weights)] if updates is None else [*updates]
    if len(given) != len(weights):
        raise CompatError(
            f"update_module needs an update, or None, for each of the {len(weights)} weights, got "
            f"{len(given)}. Give them in the order of module.parameters(): {', '.join(names)}."
        )
    made: Memo = {} if memo is None else memo
    for weight, update in zip(weights, given, strict=True):
        if weight not in made and update is not None:
            made[weight] = weight + update
    put(module, [made.get(weight, weight) for weight in weights])
    return module


def detach_module(module: nn.Module, keep_requires_grad: bool = False) -> None:
    """Cut the weights and buffers of a module off from their graph, in place.

    So is what the optimiser of a clone of `MAML` remembers.

    Args:
        module: a clone, or any module.
        keep_requires_grad: False leaves them without a need for a gradient; True makes those that
            had it leaves that require one.

    Source: the function of this name in learn2learn.
    """

    made: Memo = {}
    for _, part in walk(module):
        for param in _parameters(part):
            if param is not None:
                param.requires_grad_(keep_requires_grad and param.requires_grad)
        buffers: dict[str, Tensor | None] = part.__dict__["_buffers"]
        for name, tensor in buffers.items():
            if tensor is not None and tensor.requires_grad:
                if tensor not in made:
                    made[tensor] = tensor.detach().requires_grad_(keep_requires_grad)
                buffers[name] = made[tensor]
        state: object = part.__dict__.get("_state")
        if isinstance(state, State):
            slots = {name: [*map(_detached, column)] for name, column in state.slots.items()}
            part.__dict__["_state"] = state._replace(slots=slots)


def weights_of(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and dependents by name, each weight once, whatever kind of module holds them."""
    return [*named_weights(module, "", recurse=True)]


def named(module: nn.Module) -> tuple[list[str], list[Tensor]]:
    """The names and the weights of a module."""
    pairs = weights_of(module)
    return [name for name, _ in pairs], [weight for _, weight in pairs]


def put(module: nn.Module, weights: Sequence[Tensor]) -> None:
    """Make these the weights of a module, in the order of its parameters, in place."""
    names, _ = named(module)
    if any(param is not None for _, part in walk(module) for param in _parameters(part)):
        DependentModule.to_dependentmodule(module).clear_params()
    substitute(module, dict(zip(names, weights, strict=True)), strict=True)


def _parameters(part: nn.Module) -> Iterable[nn.Parameter | None]:
    """Those of this very module, its dependents left out."""
    table: dict[str, nn.Parameter | None] = part.__dict__["_parameters"]
    return table.values()


def _detached(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach()


def _taken(weight: Any) -> Tensor | None:
    """The attribute `update` of a weight, which has none then."""
    update: Tensor | None = getattr(weight, "update", None)
    if update is not None:
        weight.update = None
    return update

"""Taking the state of a module or of its optimiser, and putting it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor, nn

from metann.compat.torchopt.base import OptState
from metann.compat.torchopt.meta_optimizer import MetaOptimizer
from metann.compat.torchopt.trees import TreeT, mapped, once
from metann.compat.torchopt.weights import replace_weights, weights_of
from metann.dependents import other_buffers
from metann.errors import ArgumentError, SubstitutionError
from metann.learner import Learner
from metann.module import DependentModule
from metann.tree import join, walk

CopyMode = Literal["reference", "copy", "deepcopy", "ref", "clone", "deepclone"]
Device = torch.device | str | int
Copy = Callable[[Tensor], Tensor]


class ModuleState(NamedTuple):
    """Weights and buffers of a module.

    Source: the class of this name in TorchOpt 0.7, where these are tuples of dicts.
    """

    params: Mapping[str, Tensor]
    """By the names of `named_parameters()`."""
    buffers: Mapping[str, Tensor]
    """By the names of `named_buffers()`, also those that `state_dict()` leaves out."""
    detach_buffers: bool = False
    """Whether the module gets copies of the buffers when this is put back."""


@overload
def extract_state_dict(
    target: nn.Module,
    *,
    by: CopyMode = "reference",
    device: Device | None = None,
    with_buffers: bool = True,
    detach_buffers: bool = False,
) -> ModuleState: ...
@overload
def extract_state_dict(
    target: MetaOptimizer, *, by: CopyMode = "reference", device: Device | None = None
) -> tuple[OptState, ...]: ...
def extract_state_dict(
    target: nn.Module | MetaOptimizer,
    *,
    by: CopyMode = "reference",
    device: Device | None = None,
    with_buffers: bool = True,
    detach_buffers: bool = False,
) -> ModuleState | tuple[OptState, ...]:
    """The state of a module or an optimiser, for `recover_state_dict`.

    Args:
        target: a module, or a `MetaOptimizer`.
        by: "reference": the very tensors; "copy": clones, whose gradients flow to the tensors;
            "deepcopy": clones without a history. Tied weights stay one tensor.
        device: where the tensors are to be; None for where they are.
        with_buffers: take buffers, too.
        detach_buffers: take "deepcopy" of the buffers, whatever `by` says, and once more whenever
            they are put back: running statistics then begin anew.

    Raises:
        ArgumentError: `by` or `target` is something else.

    Source: the function of this name in TorchOpt 0.7.
    """
    copy = _copying(by, device)
    if isinstance(target, MetaOptimizer):
        return mapped(copy, target.state_dict())
    _require_module(target)
    buffers = _copying("deepcopy", device) if detach_buffers else copy
    return ModuleState(
        {weight.name: copy(weight.tensor) for weight in weights_of(target)},
        {name: buffers(own[key]) for name, own, key in _buffers(target)} if with_buffers else {},
        detach_buffers,
    )


def recover_state_dict(
    target: nn.Module | MetaOptimizer, state: ModuleState | Sequence[OptState]
) -> None:
    """Put back what `extract_state_dict` has taken; the tensors themselves, not their values.

    A module takes the state of another of the same structure, too.

    Raises:
        SubstitutionError: a `ValueError`; the state does not fit, and nothing was changed.
        OptimizerError: a `ValueError`; the same of the state of an optimizer.
        ArgumentError: it is the state of something else.

    Source: the function of this name in TorchOpt 0.7.
    """
    if isinstance(target, MetaOptimizer) and not isinstance(state, ModuleState):
        target.load_state_dict(state)
        return
    if isinstance(target, MetaOptimizer) or not isinstance(state, ModuleState):
        raise ArgumentError(
            f"a {type(target).__name__} does not take the state of a {type(state).__name__}. Give "
            "a module the state of a module, and an optimizer that of an optimizer."
        )
    _require_module(target)
    weights, places = weights_of(target), [*_buffers(target)]
    now = {weight.name: weight.tensor for weight in weights}
    kept = {name: own[key] for name, own, key in places}
    problems = _misfits(now, state.params)
    problems += _misfits(kept, state.buffers) if state.buffers else []
    if problems:
        raise SubstitutionError(
            "the state does not fit the module, nothing was changed: " + "; ".join(problems) + ". "
            "Give what extract_state_dict took from a module of this structure."
        )
    replace_weights(target, weights, [state.params[weight.name] for weight in weights])
    copy = _copying("deepcopy" if state.detach_buffers else "reference", None)
    for name, own, key in places if state.buffers else []:
        own[key] = copy(state.buffers[name])


def stop_gradient(target: ModuleState | nn.Module | MetaOptimizer | object) -> None:
    """Cut tensors off from their history, in place; what required a gradient still does.

    Args:
        target: a module (its weights), its state, an optimiser, or a tree of tensors.

    Source: the function of this name in TorchOpt 0.7.
    """
    if isinstance(target, nn.Module):
        mapped(_cut, [weight.tensor for weight in weights_of(target)])
    elif isinstance(target, MetaOptimizer):
        mapped(_cut, target.state_dict())
    elif isinstance(target, ModuleState):
        mapped(_cut, [{**target.params}, {**target.buffers}])
    else:
        mapped(_cut, target)


def module_clone(
    target: nn.Module,
    *,
    by: CopyMode = "reference",
    detach_buffers: bool = False,
    device: Device | None = None,
) -> DependentModule:
    """A module of its own with the same weights, or copies of these; see `extract_state_dict`.

    Its class is the counterpart of the module's. For trees of tensors there is
    `torch.utils._pytree`, for optimisers `copy.deepcopy`.

    Source: the function of this name in TorchOpt 0.7.
    """
    _require_module(target)
    state = extract_state_dict(target, by=by, detach_buffers=detach_buffers, device=device)
    clone: DependentModule = Learner(target).bind([weight.tensor for weight in weights_of(target)])
    recover_state_dict(clone, state)
    return clone


def module_detach_(target: TreeT) -> TreeT:
    """What is given, after `stop_gradient`."""
    stop_gradient(target)
    return target


def _copying(by: str, device: Device | None) -> Copy:
    """How tensors are copied; the same one twice gives the same copy twice."""
    copies: dict[str, Copy] = {"reference": _itself, "copy": _clone, "deepcopy": _independent}
    mode = {"ref": "reference"}.get(by, by).replace("clone", "copy")
    if mode not in copies:
        raise ArgumentError(f"by must be one of {', '.join(map(repr, copies))}, got {by!r}.")

    def copied(tensor: Tensor) -> Tensor:
        made = copies[mode](tensor)
        if device is None or made.device == torch.device(device):
            return made
        if mode == "deepcopy":
            return _independent(made, device)
        return made.to(device)

    return once(copied)


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def _clone(tensor: Tensor) -> Tensor:
    return tensor.clone()


def _independent(tensor: Tensor, device: Device | None = None) -> Tensor:
    value = tensor.detach().to(device, copy=True)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(value, requires_grad=tensor.requires_grad)
    return value.requires_grad_(tensor.requires_grad)


def _cut(tensor: Tensor) -> Tensor:
    requires_grad = tensor.requires_grad
    return tensor.detach_().requires_grad_(requires_grad)


def _buffers(module: nn.Module) -> list[tuple[str, dict[str, Tensor], str]]:
    """The name of each buffer that is there, the table that it is in, and its name in that."""
    return [
        (join(path, name), owner.__dict__["_buffers"], name)
        for path, owner in walk(module)
        for name, value in other_buffers(owner)
        if value is not None
    ]


def _misfits(now: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    missing = [f"missing: {name}" for name in now if name not in state]
    unknown = [f"unknown: {name}" for name in state if name not in now]
    return (
        missing
        + unknown
        + [
            f"{name} must have shape {tuple(tensor.shape)}, got {tuple(state[name].shape)}"
            for name, tensor in now.items()
            if name in state and state[name].shape != tensor.shape
        ]
    )


def _require_module(target: object) -> None:
    if not isinstance(target, nn.Module):
        raise ArgumentError(
            f"expected a module or a MetaOptimizer, got {type(target).__name__}. For a list of "
            "tensors there is [tensor.clone() for tensor in tensors]."
        )

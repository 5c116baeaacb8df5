"""What becomes of buffers in a functional call: running statistics, counters, caches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from metann.errors import ArgumentError, SubstitutionError, shown
from metann.functional.transforms import batched_over_all_levels, in_any_transform
from metann.slots import slots_of
from metann.tree import join, walk

Policy = Literal["copy", "return", "writeback"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
# What torch's layers write into: running statistics, and the vectors of spectral norms. Other
# buffers are masks, tables and flags, that are read, mostly in ways that no batched tensor allows.
_STATISTICS = ("running_mean", "running_var")
_VECTORS = ("_u", "_v")
# torch reads it as a number if a batch normalisation averages over all batches.
_COUNTER = "num_batches_tracked"
# How torch words that a batched value was to be written into a tensor that is not batched.
_REFUSALS = (
    "not being vmapped over",
    "were not batched",
    "vmap: inplace",
    "doesn't match the broadcast shape",
)


@dataclass(frozen=True)
class Given:
    """What a call was given.

    Attributes:
        params: the weights.
        copies: copies of the buffers given beside them, by the identity of the original's.
    """

    params: Any
    copies: Mapping[int, Tensor] = field(default_factory=dict[int, Tensor])


def require_policy(policy: object, over_tasks: bool = False) -> None:
    """Raise unless `policy` is one, and can be kept where we are, or in a call for all tasks.

    Raises:
        ArgumentError: a `TypeError`; it is none, or the original can not be written to.
    """
    if policy not in POLICIES:
        raise ArgumentError(
            f"buffers must be one of {', '.join(map(repr, POLICIES))}, got {shown(policy)}. "
            "A mapping of values goes into params, by name; an argument of this name that is meant "
            "for the module itself has to be given by position."
        )
    if policy == "writeback" and over_tasks:
        raise ArgumentError(
            "buffers='writeback' in a call for all tasks: each task has buffers of its own, and "
            "the module can hold only one. Use buffers='return', and store what you make of them."
        )
    if policy == "writeback" and in_any_transform():
        raise ArgumentError(
            "buffers='writeback' inside a torch.func transform: the module would be left with "
            "tensors of the transform, or with one value for many. Use buffers='return', return "
            "what you get from the transformed function, and store that."
        )


def is_statistic(name: str) -> bool:
    """Whether torch's layers write into a buffer of this name, whatever path stands before it."""
    own = name.rpartition(".")[2]
    return own in _STATISTICS or own.endswith((*_VECTORS, _COUNTER))


def copied(name: str, buffer: Tensor) -> Tensor:
    """A copy to be written into; of what torch's layers write, one for each element of a vmap."""
    is_written = name in _STATISTICS or name.endswith(_VECTORS)
    return batched_over_all_levels(buffer) if is_written else buffer.clone()


def is_refused(error: RuntimeError) -> bool:
    """Whether torch refuses to write a batched value into a tensor that is not batched."""
    return any(words in str(error) for words in _REFUSALS)


def all_batched(module: nn.Module, given: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Copies of all buffers, of these given ones or the module's, for each element of a vmap."""
    return {
        id(buffer): batched_over_all_levels(given.get(id(buffer), buffer))
        for name, buffer in _named(module)
        if not name.endswith(_COUNTER)
    }


def split(module: nn.Module, params: Any) -> Given:
    """Tell the weights of a mapping from the buffers that stand in it beside them.

    Raises:
        SubstitutionError: a buffer has another shape, dtype or device than the module's.
    """
    known = {name: buffer for name, buffer in _named(module) if name in params}
    if not known:
        return Given(params)
    copies: dict[int, Tensor] = {}
    given: dict[int, Tensor] = {}
    problems: list[str] = []
    for name, buffer in known.items():
        tensor = params[name]
        problem = _misfit(name, tensor, buffer)
        if problem is None and given.setdefault(id(buffer), tensor) is not tensor:
            problem = f"{name} is the same tensor as another buffer but got another value"
        if problem is None:
            copies.setdefault(id(buffer), copied(name.rpartition(".")[2], tensor))
        else:
            problems.append(problem)
    if problems:
        raise SubstitutionError(
            "the buffers do not fit, nothing was changed: "
            + "; ".join(problems)
            + ". named_buffers() lists the names and shapes."
        )
    return Given({name: params[name] for name in params if name not in known}, copies)


def write_back(values: nn.Module, module: nn.Module) -> None:
    """Write the buffers of an instance of `module` into `module`, in place where they fit."""
    instances = dict(walk(values))
    for path, original in walk(module):
        instance = instances.get(path)
        if instance is not None:
            _write_table(instance, original)


def _write_table(instance: nn.Module, original: nn.Module) -> None:
    table = original.__dict__["_buffers"]
    weights = {*slots_of(instance)}
    for name, value in instance.__dict__["_buffers"].items():
        if name in weights:
            continue
        current = table.get(name)
        if isinstance(value, Tensor) and isinstance(current, Tensor) and _fits(value, current):
            with torch.no_grad():
                current.copy_(value)
        else:
            table[name] = value.detach() if isinstance(value, Tensor) else value


def _named(module: nn.Module) -> list[tuple[str, Tensor]]:
    """The buffers by each of their names, the dependents of a dependent module left out."""
    return [
        (join(path, name), buffer)
        for path, part in walk(module)
        for name, buffer in part.__dict__["_buffers"].items()
        if buffer is not None and name not in slots_of(part)
    ]


def _misfit(name: str, tensor: object, buffer: Tensor) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"{name} must be a tensor, got {type(tensor).__name__}"
    if not _fits(tensor, buffer):
        return f"{name} must be {_look(buffer)}, got {_look(tensor)}"
    return None


def _fits(tensor: Tensor, other: Tensor) -> bool:
    return _look(tensor) == _look(other)


def _look(tensor: Tensor) -> str:
    """Example: "torch.float32 of shape (3,) on cpu"."""
    return f"{tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}"

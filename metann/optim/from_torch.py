"""From an optimiser of torch to ours, with its hyper-parameters and its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from metann.errors import ArgumentError, OptimizerError
from metann.optim.adadelta import Adadelta
from metann.optim.adafactor import Adafactor
from metann.optim.adagrad import Adagrad
from metann.optim.adam import Adam, AdamW
from metann.optim.adamax import Adamax
from metann.optim.asgd import ASGD
from metann.optim.hyper import Value, per_group
from metann.optim.muon import Muon
from metann.optim.nadam import NAdam
from metann.optim.optimizer import Optimizer
from metann.optim.radam import RAdam
from metann.optim.rmsprop import RMSprop
from metann.optim.rprop import Rprop
from metann.optim.sgd import SGD
from metann.optim.state import State

Group: TypeAlias = "Mapping[str, Any]"

# They are called like their originals in torch.optim.
SUPPORTED: tuple[type[Optimizer], ...] = (
    SGD,
    Adam,
    AdamW,
    NAdam,
    RAdam,
    Adamax,
    Adagrad,
    Adadelta,
    RMSprop,
    ASGD,
    Rprop,
    Adafactor,
    Muon,
)

# What says how torch computes, not what.
HOW = {"params", "foreach", "fused", "capturable", "differentiable"}


def from_torch(optimizer: torch.optim.Optimizer) -> tuple[Optimizer, State]:
    """The same optimiser as a value, and a state that continues where it stands.

    Its parameters are those of all groups, in their order: the state, and what `step` is given,
    follow it. A hyper-parameter in which groups differ has a value for each parameter. The
    optimiser itself is neither changed nor referred to.

    Args:
        optimizer: one of torch.optim, which may have stepped already, with any options.

    Raises:
        ArgumentError: it is of another class. LBFGS is none of ours: it calls the model itself, as
            often as the losses that it sees make it.
        OptimizerError: groups differ in what is one for all, it calls hooks, or it has an option
            that is unknown here.

    Example:
        >>> ours, state = from_torch(torch.optim.Adam(net.parameters(), lr=1e-3))
        >>> params, state = ours.step([*net.parameters()], gradients, state)
    """
    kind = counterpart(optimizer)
    require_no_hooks(optimizer)
    groups = cast("Sequence[Group]", optimizer.param_groups)
    sizes = [len(group["params"]) for group in groups]
    names = [name for name in optimizer.defaults if name not in HOW]
    require_known(kind, names)
    values = values_of(kind)
    options = {name: combined(name, groups, sizes, name in values) for name in names}
    ours = made(kind, options)
    return ours, continued(ours, optimizer, [p for group in groups for p in group["params"]])


def counterpart(optimizer: object) -> type[Optimizer]:
    """Our class for an optimiser of torch.

    Raises:
        ArgumentError: there is none.
    """
    for kind in SUPPORTED:
        if type(optimizer) is getattr(torch.optim, kind.__name__):
            return kind
    names = ", ".join(kind.__name__ for kind in SUPPORTED)
    why = (
        " LBFGS calls the model itself, as often as the losses make it: run it as it is, and "
        "differentiate its result implicitly."
        if isinstance(optimizer, torch.optim.LBFGS)
        else ""
    )
    found = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
    raise ArgumentError(
        f"from_torch knows these classes of torch.optim: {names}; got an object of {found}.{why} "
        "Take one of them, or write a subclass of metann.optim.Optimizer."
    )


def require_no_hooks(optimizer: torch.optim.Optimizer) -> None:
    """Refuse an optimiser whose steps call functions of the user.

    Raises:
        OptimizerError: there are some.
    """
    kinds = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    count = sum(len(getattr(optimizer, kind, ())) for kind in kinds)
    if count:
        raise OptimizerError(
            f"from_torch cannot carry over what a step calls, and this {type(optimizer).__name__} "
            f"calls {count} of your hooks. Remove them; what they do to gradients can be a "
            "function given to metann.optim.transformed."
        )


def values_of(kind: type[Optimizer]) -> set[str]:
    """The names of the hyper-parameters; other fields are options, one for all parameters."""
    return {field.name for field in fields(kind) if "Hyper" in str(field.type)}


def made(kind: type[Optimizer], options: dict[str, object]) -> Optimizer:
    """Ours, with these options.

    Raises:
        OptimizerError: one that the class sets by itself is another here.
    """
    settable = {field.name for field in fields(kind) if field.init}
    given = {name: value for name, value in options.items() if name in settable}
    ours = kind(**given)
    for name in sorted(options.keys() - given.keys()):
        if getattr(ours, name) != options[name]:
            raise OptimizerError(
                f"{name} of {kind.__name__} is {getattr(ours, name)!r}, but the one given to "
                f"from_torch has {options[name]!r}. Give an optimiser of the class that is meant."
            )
    return ours


def require_known(kind: type[Optimizer], options: Iterable[str]) -> None:
    """Refuse options that ours does not have.

    Raises:
        OptimizerError: there are some.
    """
    unknown = sorted({*options} - {field.name for field in fields(kind)})
    if unknown:
        raise OptimizerError(
            f"from_torch does not know what these options of torch.optim.{kind.__name__} do: "
            f"{', '.join(unknown)}. They came with another version of torch than metann was made "
            "for: use that one."
        )


def combined(name: str, groups: Sequence[Group], sizes: Sequence[int], is_value: bool) -> object:
    """One option of all groups: one value, or one for each parameter where groups differ.

    Example: `lr` of groups with two parameters and one: 0.1 and 0.01 -> [0.1, 0.1, 0.01];
    `betas` of the same: (0.9, 0.99) and (0.8, 0.99) -> ([0.9, 0.9, 0.8], 0.99).

    Raises:
        OptimizerError: they differ in what is one for all.
    """
    found = [group[name] for group in groups]
    if is_value and all(isinstance(each, (tuple, list)) for each in found):
        columns = zip(*found, strict=True)
        return tuple(in_one(name, column, sizes, is_value) for column in columns)
    return in_one(name, found, sizes, is_value)


def in_one(name: str, found: Sequence[object], sizes: Sequence[int], is_value: bool) -> object:
    """One value where all are the same, or else one for each parameter."""
    first = found[0]
    if all(each is first or is_same_number(each, first) for each in found):
        return scalar(first) if isinstance(first, Tensor) else first
    if is_value and all(isinstance(each, (int, float, Tensor)) for each in found):
        values = [scalar(each) if isinstance(each, Tensor) else each for each in found]
        return per_group(cast("list[Value]", values), sizes)
    raise OptimizerError(
        f"All parameters of an optimiser have the same {name}, but the groups given to from_torch "
        f"have {', '.join(map(repr, found))}. Make an optimiser for each of these groups."
    )


def is_same_number(one: object, other: object) -> bool:
    """Whether both are no tensors, and equal."""
    return not isinstance(one, Tensor) and not isinstance(other, Tensor) and one == other


def scalar(value: Tensor) -> Tensor:
    """A hyper-parameter of torch as one of ours: no later change to it is seen here.

    One that requires a gradient is the same tensor, so that it can be learned.
    """
    single = value if value.ndim == 0 else value.squeeze()
    return single if single.requires_grad else single.clone()


def continued(ours: Optimizer, optimizer: torch.optim.Optimizer, params: list[Tensor]) -> State:
    """The state of an optimiser of torch; of a parameter that has none yet, that before it."""
    state = ours.init(params)
    slots = {name: list(column) for name, column in state.slots.items()}
    steps: list[int] = []
    for index, param in enumerate(params):
        kept = cast("Mapping[str, object]", optimizer.state.get(param, {}))
        steps.append(int(cast("float", kept.get("step", 0))))
        for name, column in slots.items():
            value = kept.get(name)
            if value is not None:
                column[index] = remembered(value, param)
    return State(max(steps, default=0), tuple(steps), slots)


def remembered(value: object, param: Tensor) -> Tensor:
    """A copy of what torch remembers for a parameter, with its device and precision."""
    tensor = torch.as_tensor(value)
    dtype = param.dtype if tensor.is_complex() else param.dtype.to_real()
    return tensor.to(param.device, dtype).clone()

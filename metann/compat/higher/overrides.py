"""Options of an optimiser given as tensors: `override`, and making or applying one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from metann.compat.higher.utils import flatten
from metann.errors import CompatError

Override: TypeAlias = "Mapping[str, Sequence[Any]]"
"""By the name of an option, a list with one value for all groups of parameters or one for each."""
Groups: TypeAlias = "Sequence[dict[str, Any]]"


def apply_override(groups: Groups, override: Override) -> None:
    """Set options of groups, in place.

    Raises:
        CompatError: a `ValueError`; there is no such option, or there are neither one value nor
            as many as groups. Nothing has changed.
    """
    for name, values in override.items():
        _require_fitting(groups, name, values)
    for name, values in override.items():
        for index, group in enumerate(groups):
            group[name] = values[0] if len(values) == 1 else values[index]


def get_trainable_opt_params(
    opt: torch.optim.Optimizer, device: torch.device | str | None = None
) -> dict[str, list[Any]]:
    """The options of an optimiser as tensors that can be learned, to be given as `override`.

    Args:
        opt: any optimiser.
        device: where the tensors are.

    Returns:
        For each option that is a number, or made of numbers, a value for each group. Flags and
        None are no numbers.

    Source: the function of this name in higher.
    """
    groups = cast("Groups", opt.param_groups)
    return {
        name: [_mapped(group[name], device) for group in groups]
        for name in groups[0]
        if name != "params" and all(_is_numeric(group[name]) for group in groups)
    }


def apply_trainable_opt_params(opt: torch.optim.Optimizer, override: Override) -> None:
    """Set the options of an optimiser to what has been learned, in place.

    Args:
        opt: the one that `override` was made for.
        override: as `get_trainable_opt_params` returns it.

    Raises:
        CompatError: a `ValueError`; it does not fit the groups. Nothing has changed.

    Source: the function of this name in higher.
    """
    groups = cast("Groups", opt.param_groups)
    for name, values in override.items():
        _require_fitting(groups, name, values)
    for name, values in override.items():
        for index, group in enumerate(groups):
            group[name] = _applied(values[0] if len(values) == 1 else values[index], group[name])


def _require_fitting(groups: Groups, name: str, values: Sequence[Any]) -> None:
    given: Any = values
    if not all(name in group for group in groups):
        known = ", ".join(key for key in groups[0] if key != "params")
        raise CompatError(
            f"The optimiser has no option {name!r} to override; it has: {known}. Take one of these."
        )
    if isinstance(given, Tensor) or len(given) not in {1, len(groups)}:
        found = "a tensor" if isinstance(given, Tensor) else f"{len(given)} values"
        raise CompatError(
            f"The override of {name!r} is a list of one value, or of one for each of the "
            f"{len(groups)} groups of parameters, got {found}. Put it into a list."
        )


def _is_numeric(value: object) -> bool:
    parts = flatten(value)
    return bool(parts) and all(
        isinstance(part, (int, float, Tensor)) and not isinstance(part, bool) for part in parts
    )


def _mapped(value: Any, device: torch.device | str | None) -> Any:
    """The same with a leaf for each number."""
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        return type(items)([_mapped(item, device) for item in items])  # type: ignore[call-arg]
    leaf = value.detach().clone() if isinstance(value, Tensor) else torch.tensor(float(value))
    return leaf.to(device).requires_grad_()


def _applied(value: Any, current: Any) -> Any:
    """A learned value in the form of the one that it takes the place of."""
    if isinstance(current, (list, tuple)):
        items = cast("Sequence[Any]", current)
        pairs = zip(value, items, strict=True)
        return type(items)([_applied(new, old) for new, old in pairs])  # type: ignore[call-arg]
    if isinstance(current, Tensor):
        return value.detach().to(current.device, current.dtype).clone()
    return type(current)(value.item() if isinstance(value, Tensor) else value)

"""Helpers by higher's names: `get_func_params`, `flatten`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn


def get_func_params(
    module: nn.Module, device: torch.device | str | None = None, safe_copy: bool = True
) -> list[Tensor]:
    """The parameters of a module as leaves of their own, which require a gradient as they do.

    Args:
        module: any module.
        device: where they are put; None for where the parameters are.
        safe_copy: False lets them share their storage with the parameters.
    """
    return [copied(param, device, safe_copy) for param in module.parameters()]


def copied(tensor: Tensor, device: torch.device | str | None, safe_copy: bool = True) -> Tensor:
    """A leaf with the value of a tensor."""
    value = tensor.detach().clone() if safe_copy else tensor.detach()
    return value.to(device).requires_grad_(tensor.requires_grad)


def flatten(x: Any) -> list[Any]:
    """What is in nested dicts, lists, tuples and sets, in one list.

    Example: `{"a": [1, (2, 3)]}` -> `[1, 2, 3]`
    """
    if not isinstance(x, (dict, list, tuple, set)):
        return [x]
    values = cast("Iterable[Any]", x.values() if isinstance(x, dict) else x)
    return [item for value in values for item in flatten(value)]

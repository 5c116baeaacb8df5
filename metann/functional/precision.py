"""The precision that torch's autocast gives to a kernel, for the plain forms of such kernels."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, overload

import torch
from torch import Tensor


def autocast_dtype(device: str) -> torch.dtype | None:
    """The dtype that autocast computes in on this kind of device; None where it is not at work."""
    # torch 2.3 and older cannot be asked by device, nor can devices without autocast.
    if not hasattr(torch, "get_autocast_dtype") or not torch.amp.is_autocast_available(device):
        return None
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


@overload
def lowered(tensor: Tensor, dtype: torch.dtype | None) -> Tensor: ...
@overload
def lowered(tensor: Tensor | None, dtype: torch.dtype | None) -> Tensor | None: ...
def lowered(tensor: Tensor | None, dtype: torch.dtype | None) -> Tensor | None:
    """The tensor as a kernel gets it from autocast, which leaves float64 and all but floats."""
    if tensor is None or dtype is None:
        return tensor
    is_left = tensor.dtype == torch.float64 or not tensor.is_floating_point()
    return tensor if is_left else tensor.to(dtype)


def without_autocast(device: str) -> AbstractContextManager[Any]:
    """Within it every operation computes in the precision of its arguments."""
    if autocast_dtype(device) is None:
        return nullcontext()
    return torch.autocast(device, enabled=False)

"""Weight normalisation in plain operations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from metann.functional.transforms import plain_form_is_needed

# torch's stubs do not know these in full.
_torch: Any = import_module("torch")


def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """The tensor with the directions of `v` and the lengths `g`.

    Args:
        v: any shape.
        g: one length for each index of `dim`, its other dimensions of size 1; or a single one.
        dim: which dimension of `v` keeps its index; -1 for one length in all.

    Returns:
        the shape of `v`.

    Source: torch._weight_norm, which torch.nn.utils.parametrizations.weight_norm calls.
    """
    if not plain_form_is_needed():
        found: Tensor = _torch._weight_norm(v, g, dim)
        return found
    # torch's kernel measures bfloat16 in single precision.
    wide = v.float() if v.dtype == torch.bfloat16 else v
    return (wide * (g.to(wide.dtype) / _norms(wide, dim))).to(v.dtype)


def weight_norm_backward(
    grad_w: Tensor, saved_v: Tensor, saved_g: Tensor, saved_norms: Tensor, dim: int
) -> Any:
    """The gradients of v and g, as a computation that can be differentiated.

    torch's own takes the norms as constants. They are a function of v, so here they are computed.
    """
    v, g, grad = (t.to(saved_norms.dtype) for t in (saved_v, saved_g, grad_w))
    norms = _norms(v, dim)
    along = (grad * v).sum(_others(v, dim), keepdim=True) / norms
    grad_v = (g.reshape(norms.shape) / norms) * (grad - v * (along / norms))
    return grad_v.to(saved_v.dtype), along.reshape(saved_g.shape).to(saved_g.dtype)


def _norms(v: Tensor, dim: int) -> Tensor:
    found: Tensor = _torch.linalg.vector_norm(v, dim=_others(v, dim), keepdim=True)
    return found


def _others(v: Tensor, dim: int) -> list[int]:
    """The dimensions to sum over; torch means all of them by -1."""
    kept = None if dim == -1 else dim % v.dim()
    return [other for other in range(v.dim()) if other != kept]

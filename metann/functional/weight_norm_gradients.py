"""The backward pass of weight normalisation, in operations that can be differentiated."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor

# torch's stubs do not know it in full.
_linalg: Any = import_module("torch").linalg


def weight_norm_backward(
    grad_w: Tensor, saved_v: Tensor, saved_g: Tensor, saved_norms: Tensor, dim: int
) -> Any:
    """The gradients of v and g, as a computation that can be differentiated.

    torch's own takes the norms as constants. They are a function of v, so here they are computed.
    """
    v, g, grad = (t.to(saved_norms.dtype) for t in (saved_v, saved_g, grad_w))
    norms = norms_except(dim, v)
    # The last dimension, of size 1, is summed over even if there is no other.
    products = (grad * v).unsqueeze(-1)
    along = products.sum(_others(dim, v), keepdim=True).squeeze(-1) / norms
    grad_v = (g.reshape(norms.shape) / norms) * (grad - v * (along / norms))
    return grad_v.to(saved_v.dtype), along.reshape(saved_g.shape).to(saved_g.dtype)


def norms_except(dim: int, v: Tensor) -> Tensor:
    """The length of `v` for each index of `dim`, or the one of all if it is -1.

    Args:
        dim: dimension of `v`, or -1.
        v: any shape.

    Returns:
        size 1 in all dimensions but `dim`.
    """
    found: Tensor = _linalg.vector_norm(v.unsqueeze(-1), dim=_others(dim, v), keepdim=True)
    return found.squeeze(-1)


def _others(dim: int, v: Tensor) -> list[int]:
    """All dimensions of `v.unsqueeze(-1)` but one; torch means none by -1."""
    kept = None if dim == -1 else dim % v.dim()
    return [other for other in range(v.dim() + 1) if other != kept]

"""What torch's parametrizations call, in plain operations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metann.functional.derivatives import supply
from metann.functional.transforms import plain_form_is_needed
from metann.functional.weight_norm_gradients import norms_except

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
        supply()
        found: Tensor = _torch._weight_norm(v, g, dim)
        return found
    # torch's kernel measures bfloat16 in single precision.
    wide = v.float() if v.dtype == torch.bfloat16 else v
    return (wide * (g.to(wide.dtype) / norms_except(dim, wide))).to(v.dtype)


def normalize(
    input: Tensor,
    p: float = 2.0,
    dim: int | tuple[int, ...] = 1,
    eps: float = 1e-12,
    out: Tensor | None = None,
) -> Tensor:
    """`input` with its vectors along `dim` divided by their length.

    Args:
        input: any shape.
        p: the length is the p-norm.
        dim: along which.
        eps: the least length to divide by.
        out: the shape of `input`: where to write the result, which is then a constant.

    Returns:
        the shape of `input`; `out`, if it is given.

    Source: torch.nn.functional.normalize.
    """
    over: int = dim  # type: ignore[assignment]  # torch takes more than its annotation says
    if out is None or not plain_form_is_needed():
        return F.normalize(input, p, over, eps, out)
    return out.copy_(F.normalize(input, p, over, eps).detach())


def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of a product of reflections.

    Args:
        input: shape (..., m, n): below the diagonal the vectors of the reflections.
        tau: shape (..., k): their factors.

    Returns:
        shape (..., m, n).

    Source: torch.linalg.householder_product.
    """
    if not plain_form_is_needed():
        found: Tensor = _torch.linalg.householder_product(input, tau)
        return found
    rows, columns = input.shape[-2:]
    diagonal = torch.eye(rows, columns, dtype=input.dtype, device=input.device)
    vectors = input.tril(-1) + diagonal
    product = diagonal.expand(input.shape)
    for number in reversed(range(tau.shape[-1])):
        vector = vectors[..., number : number + 1]
        product = product - tau[..., number, None, None] * (vector @ (vector.mH @ product))
    return product

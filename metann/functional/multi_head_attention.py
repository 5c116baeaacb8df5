"""torch's own multi-head attention, around our form of scaled-dot-product attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor

from metann.functional.attention import scaled_dot_product_attention
from metann.functional.transforms import is_compiling, plain_form_is_needed


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """Attention in several heads, with the projections before and after it.

    Args:
        query: shape (L, N, E), or (L, E).
        key: shape (S, N, Ek), or (S, Ek).
        value: shape (S, N, Ev), or (S, Ev).
        args: the others of torch's function.
        kwargs: the others of torch's function.

    Returns:
        the output, shape (L, N, E) or (L, E), and the weights of the attention, or None.

    Source: torch.nn.functional.multi_head_attention_forward.
    """
    # The tracer of torch.compile can not follow a function made here, but it has rules for more.
    if is_compiling() or not plain_form_is_needed():
        return F.multi_head_attention_forward(query, key, value, *args, **kwargs)
    return _torchs_around_ours()(query, key, value, *args, **kwargs)


@cache
def _torchs_around_ours() -> Callable[..., tuple[Tensor, Tensor | None]]:
    """torch's function, in which the name of its attention means ours.

    So it follows torch in all else. It does not ask modes of `torch.overrides` about itself:
    `Replacing` has been asked already.
    """
    torchs = cast(FunctionType, F.multi_head_attention_forward)
    names = {
        **torchs.__globals__,
        "scaled_dot_product_attention": scaled_dot_product_attention,
        "has_torch_function": _no,
    }
    found = FunctionType(
        torchs.__code__, names, torchs.__name__, torchs.__defaults__, torchs.__closure__
    )
    found.__kwdefaults__ = torchs.__kwdefaults__
    return found


def _no(tensors: Any) -> bool:
    return False

"""The question that a Transformer asks before it makes a nested tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metann.functional.transforms import plain_form_is_needed


def nested_tensor_from_mask_left_aligned(t: Tensor, mask: Tensor) -> bool:
    """Whether a nested tensor is to be made of `t`; never inside a transform.

    Args:
        t: shape (N, S, E).
        mask: shape (N, S), true where `t` counts.

    Source: torch._nested_tensor_from_mask_left_aligned, of the private functions that
    torch.nn.TransformerEncoder calls.
    """
    private: Any = torch
    return not plain_form_is_needed() and private._nested_tensor_from_mask_left_aligned(t, mask)

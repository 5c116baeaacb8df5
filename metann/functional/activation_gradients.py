"""The backward passes of activations."""

from __future__ import annotations

import torch
from torch import Tensor


def hardsigmoid_backward(grad_output: Tensor, self: Tensor) -> Tensor:
    """The gradient of hardsigmoid's input, as a computation that can be differentiated."""
    return torch.where((self > -3) & (self < 3), grad_output / 6, 0.0)

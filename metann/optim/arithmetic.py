"""The arithmetic of updates, for hyper-parameters that are numbers or tensors.

Numbers take torch's fused operations; tensors may be learned and take those that have a gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metann.optim.hyper import Hyper, Value


def plus(tensor: Tensor, factor: Value, other: Tensor) -> Tensor:
    """tensor + factor * other."""
    if isinstance(factor, Tensor):
        return torch.addcmul(tensor, other, factor)
    return torch.add(tensor, other, alpha=factor)


def minus(tensor: Tensor, factor: Value, other: Tensor) -> Tensor:
    """tensor - factor * other."""
    if isinstance(factor, Tensor):
        return torch.addcmul(tensor, other, factor, value=-1)
    return torch.sub(tensor, other, alpha=factor)


def minus_quotient(tensor: Tensor, factor: Value, numerator: Tensor, denominator: Tensor) -> Tensor:
    """tensor - factor * numerator / denominator."""
    if isinstance(factor, Tensor):
        return minus(tensor, factor, numerator / denominator)
    return torch.addcdiv(tensor, numerator, denominator, value=-factor)


def penalised(grad: Tensor, param: Tensor, weight_decay: Value) -> Tensor:
    """The gradient with that of weight_decay / 2 * |param|^2."""
    return grad if is_zero(weight_decay) else plus(grad, weight_decay, param)


def shrunk(param: Tensor, lr: Value, weight_decay: Value) -> Tensor:
    """The parameter after decoupled weight decay."""
    return param if is_zero(weight_decay) else param * (1 - lr * weight_decay)


def averaged(average: Tensor, new: Tensor, beta: Value) -> Tensor:
    """beta * average + (1 - beta) * new."""
    return torch.lerp(average, new, 1 - beta)


def averaged_square(average: Tensor, new: Tensor, beta: Value) -> Tensor:
    """beta * average + (1 - beta) * new^2."""
    if isinstance(beta, Tensor):
        return average * beta + (1 - beta) * (new * new)
    return torch.addcmul(average * beta, new, new, value=1 - beta)


def root(square: Tensor) -> Tensor:
    """The square root, with derivative 0 at 0 in place of an infinite one.

    What optimisers divide by is like |g| + eps, and what they divide is 0 where g is: the
    derivative of g / (|g| + eps) at 0 is 1 / eps, whatever finite one |g| is said to have there.
    """
    # At 0 it is the root of a tiny number, which eps absorbs.
    return torch.threshold(square, 0.0, tiny(square.dtype)).sqrt()


def tiny(dtype: torch.dtype) -> float:
    """The smallest normal number; in half precision the smallest there is."""
    return 2.0**-24 if dtype == torch.float16 else torch.finfo(dtype).tiny


def is_zero(value: Hyper) -> bool:
    """A number that is 0; a tensor may be learned, and never is."""
    return not isinstance(value, Tensor) and value == 0

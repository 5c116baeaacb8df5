"""What the tests here ask of a function: all its derivatives, and which operators it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from metann import Learner

# torch's own forward mode makes its decompositions at first use, by a deprecated function.
FORWARD_MODE_WARNS = "ignore:`torch.jit.script` is deprecated:DeprecationWarning"


class Operators(TorchDispatchMode):
    """Notes the names of the operators that are called while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))

    def fused(self) -> list[str]:
        """The operators of torch that do a whole layer's work, in order."""
        marks = ("_scaled_dot_product", "_native_multi_head", "_transformer_encoder", "_nested")
        return [name for name in self.names if name.startswith(marks)]


def assert_every_derivative(function: Callable[..., Any], inputs: Sequence[Tensor]) -> None:
    """First and second order, reverse, forward, and forward over reverse: finite differences'.

    The batched ones are compared with those computed one by one; no rule is missing for them.
    """
    of_vector, vector = as_one_vector(function, inputs)
    assert gradcheck(
        of_vector,
        vector,
        fast_mode=True,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(
        of_vector, vector, fast_mode=True, check_fwd_over_rev=True, check_batched_grad=True
    )


def assert_second_order(function: Callable[..., Any], inputs: Sequence[Tensor]) -> None:
    """Gradients of both orders, in reverse mode, are those of finite differences."""
    of_vector, vector = as_one_vector(function, inputs)
    assert gradcheck(of_vector, vector, fast_mode=True)
    assert gradgradcheck(of_vector, vector, fast_mode=True)


def as_one_vector(
    function: Callable[..., Any], inputs: Sequence[Tensor]
) -> tuple[Callable[[Tensor], Any], Tensor]:
    """The function of all its inputs in one vector, and that vector.

    Finite differences of one input take as long as those of another, however large it is.
    """

    def of_vector(vector: Tensor) -> Any:
        pieces = vector.split([tensor.numel() for tensor in inputs])
        views = zip(pieces, inputs, strict=True)
        return function(*(piece.view(tensor.shape) for piece, tensor in views))

    return of_vector, torch.cat([tensor.detach().flatten() for tensor in inputs]).requires_grad_()


def assert_vmap(function: Callable[..., Any], stacked: Sequence[Tensor], **options: Any) -> None:
    """`torch.vmap` of the function gives what it gives for one element after the other."""
    together = torch.vmap(function, **options)(*stacked)
    one_by_one = [function(*elements) for elements in zip(*stacked, strict=True)]
    torch.testing.assert_close(together, torch.stack(one_by_one), rtol=1e-12, atol=1e-12)


def moved(module: nn.Module) -> nn.Module:
    """The module with random parameters, none of them at 0 or 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.rand_like(parameter) - 0.5)
    return module


def as_function(
    module: nn.Module, training: bool, **kwargs: Any
) -> tuple[Callable[..., Any], list[Tensor]]:
    """The module as a function of its weights and then its inputs, and its weights."""
    weights = [parameter.detach() for parameter in moved(module).parameters()]
    learner, count = Learner(module), len(weights)

    def function(*tensors: Tensor) -> Any:
        return learner.functional(list(tensors[:count]), training, *tensors[count:], **kwargs)

    return function, weights


def stacked(tensors: Sequence[Tensor], times: int = 2) -> list[Tensor]:
    """For each tensor several of its shape, random, in a batch."""
    return [torch.randn(times, *tensor.shape) for tensor in tensors]

"""A linear layer and the cross entropy of its output, in chunks, with all derivatives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from metann.functional.transforms import (
    is_batched,
    is_compiling,
    is_inside_functorch,
    plain_form_is_needed,
)

if TYPE_CHECKING:
    from torch.nn import LinearCrossEntropyOptions


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """`cross_entropy(linear(input, linear_weight, linear_bias), target)`.

    With `options` torch computes the loss in chunks, together with the gradient, so that there
    never are all logits at once. So it is here in first order. A backward pass with
    `create_graph=True`, and any transform, has all logits.

    Args:
        input: shape (N, in_features) or (in_features,).
        linear_weight: shape (C, in_features) or (C, d1, ..., in_features).
        target: classes, shape (N, d1, ...), or their probabilities, shape (N, C, d1, ...).
        linear_bias: shape (C, d1, ...).
        weight: of each class, shape (C,).
        reduction: "none", "mean" or "sum".
        ignore_index: the class whose examples do not count.
        label_smoothing: the share of the uniform distribution in the target.
        options: how to compute it in chunks; None: not in chunks.

    Raises:
        RuntimeError: the shapes do not fit; or a second backward pass, where the options do not
            allow one.

    Source: torch.nn.functional.linear_cross_entropy.
    """

    def loss(x: Tensor, w: Tensor, b: Tensor | None, *, chunks: Any) -> Tensor:
        return F.linear_cross_entropy(
            x,
            w,
            target,
            linear_bias=b,
            weight=weight,
            reduction=reduction,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            options=chunks,
        )

    if plain_form_is_needed() or is_inside_functorch():
        return loss(input, linear_weight, linear_bias, chunks=None)
    # torch takes the options back for a target of probabilities, which may have a gradient.
    is_torchs = options is None or is_compiling() or target.is_floating_point()
    if is_torchs or not torch.is_grad_enabled():
        return loss(input, linear_weight, linear_bias, chunks=options)
    forms = partial(loss, chunks=options), partial(loss, chunks=None)
    function: Any = _InChunks
    found: Tensor = function.apply(*forms, input, linear_weight, linear_bias)
    return found


class _InChunks(torch.autograd.Function):
    """A loss whose gradient, if it is to be differentiated, is that of another form of it."""

    @staticmethod
    @override
    def forward(ctx: Any, *args: Any) -> Tensor:
        """Call the first form, on a graph of its own."""
        in_chunks, ctx.plain, *given = args
        ctx.save_for_backward(*given)
        ctx.needed = ctx.needs_input_grad[2:]
        with torch.enable_grad():
            ctx.leaves = [_leaf(*pair) for pair in zip(given, ctx.needed, strict=True)]
            ctx.loss = in_chunks(*ctx.leaves)
        loss: Tensor = ctx.loss.detach()
        return loss

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        """Through that graph; in a batch, or for a graph, through the second form."""
        if torch.is_grad_enabled() or any(map(is_batched, grad_outputs)):
            with torch.enable_grad():
                loss = ctx.plain(*ctx.saved_tensors)
            found = _gradients(loss, ctx.saved_tensors, ctx, grad_outputs)
        else:
            found = _gradients(ctx.loss, ctx.leaves, ctx, grad_outputs)
        remaining = iter(found)
        return None, None, *(next(remaining) if needed else None for needed in ctx.needed)


def _leaf(tensor: Tensor | None, needed: bool) -> Tensor | None:
    return None if tensor is None else tensor.detach().requires_grad_(needed)


def _gradients(loss: Tensor, of: list[Any], ctx: Any, grad_outputs: Any) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        loss,
        [tensor for tensor, needed in zip(of, ctx.needed, strict=True) if needed],
        grad_outputs,
        retain_graph=True,
        create_graph=torch.is_grad_enabled(),
    )

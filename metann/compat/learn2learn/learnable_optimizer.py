"""`LearnableOptimizer`: an optimiser that is trained while it trains."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from metann.compat.learn2learn.modules import put, weights_of


class LearnableOptimizer(nn.Module):
    """Steps a model, in place, along gradients that went through learned modules.

    The new weights have a graph to these modules, and to nothing before: the next `backward()`
    gives gradients to both, and another optimiser steps the modules.

    Args:
        model: becomes its counterpart in the first step.
        transform: makes a module for a parameter, as `ModuleTransform` does.
        lr: the size of the steps.

    Source: the class of this name in learn2learn.
    """

    def __init__(
        self, model: nn.Module, transform: Callable[[Tensor], nn.Module], lr: float = 1.0
    ) -> None:
        super().__init__()
        # In a dict: it is no submodule, and its weights are none of this module's.
        self.info: dict[str, nn.Module] = {"model": model}
        self.transforms: nn.ModuleList = nn.ModuleList(
            transform(weight) for _, weight in weights_of(model)
        )
        self.lr: float = lr

    def step(self) -> None:
        """Step the weights that have a gradient."""
        model = self.info["model"]
        pairs = zip(weights_of(model), self.transforms, strict=True)
        stepped = [self._stepped(weight, transform) for (_, weight), transform in pairs]
        put(model, stepped)
        for weight in stepped:
            if weight.requires_grad:
                weight.retain_grad()

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: ARG002
        """Forget the gradients of the model; those of the learned modules stay."""
        for _, weight in weights_of(self.info["model"]):
            if weight.is_leaf or weight.retains_grad:
                weight.grad = None

    def _stepped(self, weight: Tensor, transform: nn.Module) -> Tensor:
        if not (weight.is_leaf or weight.retains_grad) or weight.grad is None:
            return weight
        update: Tensor = transform(weight.grad.detach())
        return weight.detach() - self.lr * update

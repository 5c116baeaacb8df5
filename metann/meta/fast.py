"""What an inner loop carries from one step to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from torch import Tensor
from torch.utils import _pytree as pytree

from metann.optim import State

TreeT = TypeVar("TreeT")


class Fast(NamedTuple):
    """Fast weights and what belongs to them; a pytree of tensors for torch's transforms.

    Attributes:
        weights: of the parameters that adapt; (*shape), or (T, *shape) for T tasks at once.
        state: the inner optimiser's.
        buffers: those that the steps have written so far, by name.
    """

    weights: list[Tensor]
    state: State
    buffers: dict[str, Tensor]

    def detached(self) -> Fast:
        """The same values without their history.

        Source: truncated backpropagation through time cuts between windows; so can inner loops.
        """
        return _mapped(Tensor.detach, self)

    def differentiable(self) -> Fast:
        """The same, with a beginning of their own for weights that no gradient reaches."""
        return self._replace(weights=[_requiring(weight) for weight in self.weights])


def _requiring(weight: Tensor) -> Tensor:
    return weight if weight.requires_grad else weight.detach().requires_grad_()


def _mapped(function: Callable[[Tensor], Tensor], tree: TreeT) -> TreeT:
    mapped: TreeT = pytree.tree_map_only(Tensor, function, tree)
    return mapped

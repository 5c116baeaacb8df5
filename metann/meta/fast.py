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
        """The same values without their history, ready to be differentiated anew.

        Source: truncated backpropagation through time cuts between windows; so can inner loops.
        """
        cut = _mapped(Tensor.detach, self)
        return cut._replace(weights=[weight.requires_grad_() for weight in cut.weights])


def _mapped(function: Callable[[Tensor], Tensor], tree: TreeT) -> TreeT:
    mapped: TreeT = pytree.tree_map_only(Tensor, function, tree)
    return mapped

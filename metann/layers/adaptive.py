"""What the adaptive softmax needs beside its generated class."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from metann.functional.transforms import unwrapped, vmap_levels


class OutputAndLoss(NamedTuple):
    """What its forward returns, for type checkers: torch's own tuple says nothing of the types."""

    output: Tensor
    loss: Tensor


class KnowsBatches(nn.Module):
    """Computes each cluster for all examples inside `torch.vmap`.

    torch picks out the examples that fall into a cluster and writes their results in place; which
    ones these are may differ from one element of the batch to the next.
    """

    head: Any
    tail: Any
    cutoffs: list[int]
    shortlist_size: int
    n_classes: int

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of the probability of each target, and the loss."""
        parent: Any = super()
        return (self._forward if vmap_levels() else parent.forward)(*args, **kwargs)

    def log_prob(self, input: Tensor) -> Tensor:
        """The logarithms of the probabilities of all classes, shape (N, n_classes)."""
        parent: Any = super()
        found: Tensor = (self._log_prob if vmap_levels() else parent.log_prob)(input)
        return found

    def predict(self, input: Tensor) -> Tensor:
        """The most likely class of each example, shape (N,)."""
        parent: Any = super()
        found: Tensor = self.log_prob(input).argmax(1) if vmap_levels() else parent.predict(input)
        return found

    def _forward(self, input_: Tensor, target_: Tensor) -> Any:
        if input_.dim() != target_.dim() + 1 or input_.shape[:-1] != target_.shape:
            raise RuntimeError(
                f"the input must have one dimension more than the target, got the shapes "
                f"{tuple(input_.shape)} and {tuple(target_.shape)}"
            )
        if target_.dim() > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        values = unwrapped(target_)
        if ((values < 0) | (values >= self.n_classes)).any():
            raise RuntimeError(f"Target values should be in [0, {self.n_classes - 1}]")
        rows = self._log_prob(input_.reshape(-1, input_.shape[-1]))
        output = rows.gather(1, target_.reshape(-1, 1)).reshape(target_.shape)
        # torch has no public name for the class of this pair.
        pair: Any = nn.modules.adaptive
        return pair._ASMoutput(output, -output.mean())

    def _log_prob(self, input: Tensor) -> Tensor:
        head = self.head(input).log_softmax(1)
        parts = [head[:, : self.shortlist_size]]
        for number, cluster in enumerate(self.tail):
            above = head[:, self.shortlist_size + number].unsqueeze(1)
            parts.append(cluster(input).log_softmax(1) + above)
        return torch.cat(parts, 1)

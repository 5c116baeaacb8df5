"""What a sampler draws: examples to adapt on and examples to measure on, a task a row."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Examples(NamedTuple):
    """Inputs and what should come out for them.

    A tuple, so that `inputs, targets = examples` works, and torch.vmap, torch.utils.checkpoint
    and DataLoader take it apart and put it together by themselves.
    """

    inputs: Tensor
    """Shape (T, n, ...): n examples of each of T tasks; (n, ...) for a single task."""
    targets: Tensor
    """Shape (T, n, ...), or (T, n) for labels; without T for a single task."""


class Episodes(NamedTuple):
    """Tasks, each with examples to adapt on (support) and others to measure on (query).

    Every tensor has a leading task axis, as `MAML.task_losses` takes them.

    Example:
        >>> episodes = Sinusoids().draw(25, shots=10)
        >>> episodes.support.inputs.shape
        torch.Size([25, 10, 1])
        >>> losses = maml.task_losses(*episodes)  # of shape (25,)
    """

    support: Examples
    query: Examples

    @property
    def tasks(self) -> int:
        """How many tasks there are: the length of the leading axis."""
        return len(self.support.inputs)

    def task(self, index: int) -> Episodes:
        """One of the tasks, without the task axis: what `maml(support)` takes."""
        return Episodes(*(Examples(*(tensor[index] for tensor in part)) for part in self))

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Episodes:
        """The same episodes elsewhere; only what is floating-point changes its dtype."""
        return Episodes(*(Examples(*(_moved(t, device, dtype) for t in part)) for part in self))


def _moved(tensor: Tensor, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)

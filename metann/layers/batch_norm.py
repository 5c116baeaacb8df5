"""What the batch normalisations need beside their generated class."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from metann.functional.transforms import plain_form_is_needed


class AveragesOverAll(nn.Module):
    """Averages over all batches (`momentum=None`) under transforms, too.

    torch reads the number of batches as a Python number, which under `torch.vmap` may be another
    one for each element.
    """

    momentum: float | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    eps: float

    def forward(self, input: Tensor) -> Any:
        """What torch's own forward returns.

        Args:
            input: shape (N, C, *), or (N, C).

        Source: the formula of torch.nn.BatchNorm1d.
        """
        parent: Any = super()
        averages = self.training and self.momentum is None
        if not averages or self.num_batches_tracked is None or not plain_form_is_needed():
            return parent.forward(input)
        itself: Any = self
        itself._check_input_dim(input)
        over = [dimension for dimension in range(input.dim()) if dimension != 1]
        batch = input.detach()
        self.num_batches_tracked.add_(1)
        for running, found in (
            (self.running_mean, batch.mean(over)),
            (self.running_var, batch.var(over, unbiased=True)),
        ):
            if running is not None:
                running.add_((found - running) / self.num_batches_tracked)
        return F.batch_norm(input, None, None, itself.weight, itself.bias, True, 0.0, self.eps)

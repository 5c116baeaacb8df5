"""The meta-objective as a module, for what wraps modules."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from metann.meta.maml import MAML


class TaskLosses(nn.Module):
    """Calls `maml.task_losses`: `DistributedDataParallel(TaskLosses(maml))` needs nothing more.

    Args:
        maml: MAML or one of its relatives.
    """

    def __init__(self, maml: MAML) -> None:
        super().__init__()
        self.maml = maml

    @override
    def forward(self, support: Any, query: Any) -> Tensor:
        """The loss of each task, (T,); see `MAML.task_losses`."""
        return self.maml.task_losses(support, query)

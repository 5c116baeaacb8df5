"""The meta-objective as a module, for what wraps modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from torch import Tensor, nn
from typing_extensions import override

from metann.meta.evaluated import DataT
from metann.meta.maml import MAML
from metann.typed import Called


class TaskLosses(nn.Module, Generic[DataT]):
    """Calls `maml.task_losses`: `DistributedDataParallel(TaskLosses(maml))` needs nothing more.

    Args:
        maml: MAML or one of its relatives.
    """

    if TYPE_CHECKING:
        __call__: Called  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, maml: MAML[DataT]) -> None:
        super().__init__()
        self.maml = maml

    @override
    def forward(self, support: DataT, query: DataT) -> Tensor:
        """The loss of each task, (T,); see `MAML.task_losses`."""
        return self.maml.task_losses(support, query)

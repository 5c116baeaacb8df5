"""What training does to a model's running statistics, where tasks are adapted to in its place."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from metann.errors import ArgumentError, shown
from metann.tree import describe, join, walk

Policy = Literal["copy", "writeback"]
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_NORMS = (*BATCH_NORMS, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


class Statistics:
    """Notes what calls make of a model's buffers, and writes the means into the model.

    Args:
        policy: "copy" notes nothing and writes nothing.

    Raises:
        ArgumentError: a `TypeError`; `policy` is neither.
    """

    def __init__(self, policy: Policy) -> None:
        if policy not in get_args(Policy):
            raise ArgumentError(
                f"buffers must be 'copy' or 'writeback', got {shown(policy)}. With 'writeback' the "
                "running statistics of the model follow those of the tasks in train mode."
            )
        self.policy = policy
        self._noted: list[Mapping[str, Tensor]] | None = None

    def note(self, buffers: Mapping[str, Tensor], has_tasks: bool) -> None:
        """Note what a call has made of them: of one task, or of tasks along a leading axis."""
        if self._noted is not None:
            self._noted.append(
                {n: mean(b.detach()) for n, b in buffers.items()} if has_tasks else buffers
            )

    @contextmanager
    def written_into(self, model: nn.Module, training: bool) -> Generator[None, None, None]:
        """At the end, if nothing fails, the model's buffers are the means of what was noted."""
        self._noted = [] if training and self.policy == "writeback" else None
        try:
            yield
            if self._noted:
                own = dict(model.named_buffers())
                with torch.no_grad():
                    for name in self._noted[0]:
                        own[name].copy_(mean(torch.stack([noted[name] for noted in self._noted])))
        finally:
            self._noted = None


def mean(values: Tensor) -> Tensor:
    """Over the leading axis. A count of batches is the same for all tasks."""
    return values.mean(0) if values.is_floating_point() else values[0]


def without_data(model: nn.Module, others: Collection[str]) -> list[str]:
    """The normalisations in eval mode whose running statistics have never seen data.

    Args:
        model: their model.
        others: names of buffers that have something else in their place.
    """
    return [
        describe(path, module)
        for path, module in walk(model)
        if isinstance(module, _NORMS)
        and not module.training
        and join(path, "running_mean") not in others
        and _is_fresh(module)
    ]


def _is_fresh(norm: nn.Module) -> bool:
    count = norm.num_batches_tracked
    return isinstance(count, Tensor) and not count.is_meta and not count.any()

"""Reptile: go some way towards the weights that training on a task leads to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from typing_extensions import Unpack, override

from metann.errors import ArgumentError
from metann.meta.evaluated import DataT, Evaluator
from metann.meta.inner_loop import InnerLoop
from metann.meta.maml import MAML
from metann.meta.settings import Settings
from metann.optim import Hyper, Optimizer


class Reptile(MAML[DataT]):
    """Learns parameters that are near to those of trained models of all tasks; first order.

    In train mode `task_losses(support, None)` is, for each task, half the squared distance of the
    parameters from those that its inner loop ends at, which are taken for constant. Its gradient
    is `parameters - adapted`: with `torch.optim.SGD(lr=epsilon)` on the mean over the tasks, the
    paper's `parameters + epsilon * mean(adapted - parameters)`; any other optimiser may take it,
    too. In eval mode it is the loss on the query set, as in `MAML`.

    Parameters that do not adapt are not trained, and neither are hyper-parameters.

    Args:
        model: any module.
        steps_train: inner steps in train mode.
        steps_eval: inner steps in eval mode.
        lr: step size, as in `MAML`.
        evaluator: `(model, data) -> loss`.
        batch_size: each step of `task_losses` in train mode takes so many samples, drawn anew
            without repetition from those of the task: their axis is the first of every tensor,
            after that of the tasks. None for all samples, the same in each step.
        optimizer: the inner optimiser, with lr=None; the paper has Adam with beta1 = 0.
        settings: as in `MAML`, but first_order.

    Raises:
        ArgumentError: a `TypeError`; there is a query set in train mode, or too few samples.

    Example:
        >>> net = nn.Linear(3, 1)
        >>> reptile = Reptile(net, 8, 8, 0.02, lambda model, x: model(x).square().mean())
        >>> reptile.task_losses(torch.randn(4, 10, 3)).mean().backward()

    Source: Nichol, Achiam, Schulman, "On First-Order Meta-Learning Algorithms", arXiv 1803.02999.
    """

    def __init__(
        self,
        model: nn.Module,
        steps_train: int,
        steps_eval: int,
        lr: Hyper | None,
        evaluator: Evaluator[DataT],
        *,
        batch_size: int | None = None,
        optimizer: Optimizer | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(
            model, steps_train, steps_eval, lr, evaluator, True, optimizer=optimizer, **settings
        )
        self.batch_size = batch_size

    @override
    def task_losses(
        self, support: DataT, query: DataT | None = None, steps: int | None = None
    ) -> Tensor:
        """In train mode how far the parameters are from adapted ones, in eval mode the loss: (T,).

        Args:
            support: all data of each task in train mode, the support sets in eval mode; each
                tensor with a leading task axis: (T, *shape).
            query: None in train mode, the query sets in eval mode.
            steps: how many; None for `steps_train` or `steps_eval`.
        """
        if self.training != (query is None):
            mode, given = ("train", "one") if self.training else ("eval", "None")
            raise ArgumentError(
                "Reptile has query sets in eval mode only: it learns from the way to the adapted "
                f"weights. In {mode} mode it was given {given}; call train() or eval() before, or "
                "task_losses(data) and task_losses(support, query)."
            )
        return self._over_tasks(self._last_loss, support, query, steps)

    @override
    def _last_loss(self, loop: InnerLoop, support: Any, query: Any, count: int) -> Tensor:
        if not self.training:
            return super()._last_loss(loop, support, query, count)
        axis = 0 if loop.objective.how is None else 1
        with torch.no_grad():
            fast = loop.start(support)
            for _ in range(count):
                fast, _ = next(loop.steps(fast, self._part(support, axis)))
        self._statistics.note(fast.buffers, has_tasks=axis == 1)
        pairs = zip(loop.start(support).weights, fast.weights, strict=True)
        return torch.stack(
            [(own - after).square().flatten(axis).sum(-1) / 2 for own, after in pairs]
        ).sum(0)

    def _part(self, data: Any, axis: int) -> Any:
        """Some samples of every task, or all of them."""
        if self.batch_size is None:
            return data
        sizes = {leaf.shape[axis] for leaf in pytree.tree_leaves(data) if isinstance(leaf, Tensor)}
        if len(sizes) != 1 or min(sizes) < self.batch_size:
            raise ArgumentError(
                f"batch_size={self.batch_size} of the samples of a task were asked for, but axis "
                f"{axis} of the tensors in its data has sizes {sorted(sizes)}. Give the same "
                "number of samples in each, and enough of them."
            )
        chosen = torch.randperm(sizes.pop())[: self.batch_size]

        def part(tensor: Tensor) -> Tensor:
            return tensor.index_select(axis, chosen.to(tensor.device))

        return pytree.tree_map_only(Tensor, part, data)

"""MAML++: what makes MAML train steadily, each ingredient a setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Unpack, override

from metann.batching import Way
from metann.errors import ArgumentError
from metann.meta.adapted import Adapted
from metann.meta.evaluated import DataT, Evaluator
from metann.meta.fast import Fast
from metann.meta.inner_loop import InnerLoop
from metann.meta.maml import MAML, Losses
from metann.meta.per_step_norms import PerStepNorms, apart_from_norms
from metann.meta.selection import Selection, every_module
from metann.meta.settings import Settings
from metann.optim import PerStep


class MAMLPlusPlus(MAML[DataT]):
    """MAML with a loss after every step, and rates and normalizations that belong to a step.

    Multi-step loss (MSL): in train mode the losses on the query set after each step count, the
    earlier ones less with every epoch; from `multi_step_epochs` on the last alone. Learned rates
    (LSLR): a step size for each parameter and step. Statistics (BNRS) and weights (BNWB) of batch
    normalizations: one set a step; these weights do not adapt, and the model's own are those of
    the first step. Derivative-order annealing (DA): first order before `second_order_epoch`.

    Tell it of every epoch: `maml.set_epoch(epoch)`. The paper also lets the outer learning rate
    fall along a cosine: `torch.optim.lr_scheduler.CosineAnnealingLR`.

    A step sees the model with its own statistics and weights when it takes its gradient, and so
    does the loss after it; later steps than `steps_train`, in eval mode, see those of the last.
    In train mode, at the end of `task_losses` or `adapt`, the statistics of a step become the mean
    of what its calls, on the support and the query set of each task, have made of them.

    Args:
        model: any module.
        steps_train: inner steps in train mode, at least 1.
        steps_eval: inner steps in eval mode.
        lr: what all learned rates begin with.
        evaluator: `(model, data) -> loss`.
        first_order: take the gradients in the inner loop for constants.
        multi_step_epochs: how long the losses after earlier steps count; 0 for never.
        second_order_epoch: the first epoch with second-order gradients. The paper has 50.
        learns_rates: whether there is a learned rate for each parameter and step.
        norms_by_step: whether each step has weights of its batch normalizations.
        statistics_by_step: whether each step has their statistics.
        settings: as in `MAML`. What adapts is settled here: freeze before, not after.

    Raises:
        ArgumentError: a `TypeError`; a number of steps or epochs makes no sense.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        >>> maml = MAMLPlusPlus(net, 5, 5, 0.1, lambda model, data: model(data).square().mean())
        >>> maml.set_epoch(3)
        >>> [round(count, 3) for count in maml.importance(5)]
        [0.16, 0.16, 0.16, 0.16, 0.36]

    Source: Antoniou, Edwards, Storkey, "How to train your MAML", arXiv 1810.09502; the fall of the
    losses' weights, which it does not spell out, is that of its authors' program.
    """

    def __init__(
        self,
        model: nn.Module,
        steps_train: int,
        steps_eval: int,
        lr: float,
        evaluator: Evaluator[DataT],
        first_order: bool = False,
        *,
        multi_step_epochs: int = 15,
        second_order_epoch: int = 0,
        learns_rates: bool = True,
        norms_by_step: bool = True,
        statistics_by_step: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        _require_counts(multi_step_epochs=multi_step_epochs, second_order_epoch=second_order_epoch)
        if steps_train == 0:
            raise ArgumentError("MAML++ learns from its steps, got steps_train=0. Give 1 or more.")
        if statistics_by_step and settings.get("buffers", "copy") != "copy":
            raise ArgumentError(
                "MAML++ keeps statistics for each step, so the model's own cannot follow, too: got "
                "buffers='writeback' and statistics_by_step=True. Leave one of them out."
            )
        if norms_by_step:
            chosen = settings.get("clear_filter", every_module)
            settings["clear_filter"] = apart_from_norms(chosen)
        selection = Selection(settings.get("clear_filter", every_module), settings.get("names"))
        rates = _rates([*selection(model).values()], steps_train, lr) if learns_rates else lr
        super().__init__(model, steps_train, steps_eval, rates, evaluator, first_order, **settings)
        self.multi_step_epochs = multi_step_epochs
        self.second_order_epoch = second_order_epoch
        self.norms: PerStepNorms = PerStepNorms(
            model, steps_train, norms_by_step, statistics_by_step
        )
        self._is_first_order = first_order
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Anneal the weights of the losses and the order of the derivatives.

        Raises:
            ArgumentError: a `TypeError`; `epoch` is no number from 0 on.
        """
        _require_counts(epoch=epoch)
        self.epoch = epoch
        self.first_order: bool = self._is_first_order or epoch < self.second_order_epoch

    def importance(self, steps: int) -> list[float]:
        """How much the loss after each step counts now; in all 1."""
        if not self.training or self.epoch >= self.multi_step_epochs:
            return [0.0] * (steps - 1) + [1.0]
        earlier = max(1 - self.epoch / self.multi_step_epochs, 0.03) / steps
        return [earlier] * (steps - 1) + [1 - (steps - 1) * earlier]

    @override
    def adapt(self, data: DataT, steps: int | None = None, start: Adapted | None = None) -> Adapted:
        """As in MAML."""
        with self.norms.recording(self.training):
            return super().adapt(data, steps, start)

    @override
    def _over_tasks(self, function: Losses, support: Any, query: Any, steps: int | None) -> Tensor:
        """As in MAML."""
        with self.norms.recording(self.training):
            return super()._over_tasks(function, support, query, steps)

    @override
    def _last_loss(self, loop: InnerLoop, support: Any, query: Any, count: int) -> Tensor:
        """The losses on the query set, summed as `importance` says."""
        if count == 0:
            return super()._last_loss(loop, support, query, 0)
        taken = loop.steps(loop.start(support), support)
        losses = [
            share * self._loss_after(loop, fast, query)
            for share, (fast, _) in zip(self.importance(count), taken, strict=False)
            if share > 0
        ]
        return torch.stack(losses).sum(0)

    def _loss_after(self, loop: InnerLoop, fast: Fast, query: Any) -> Tensor:
        step = fast.state.count - 1
        losses, buffers = loop.objective(fast.weights, fast.buffers, query, step)
        has_tasks = loop.objective.how is not None
        self.norms.record(step, buffers, has_tasks)
        self._statistics.note(buffers, has_tasks)
        return losses

    @override
    def inner_loop(self, how: Way | None) -> InnerLoop:
        """The loop with these settings; what its steps make of the statistics is recorded."""
        return RecordedLoop(**vars(super().inner_loop(how)), norms=self.norms)

    @override
    def at_step(self, step: int) -> Mapping[str, Tensor]:
        """Weights and statistics of the batch normalizations."""
        return self.norms.at(step)


@dataclass(frozen=True, kw_only=True)
class RecordedLoop(InnerLoop):
    """An inner loop that tells what its steps make of the statistics.

    Attributes:
        norms: is told.
    """

    norms: PerStepNorms

    @override
    def steps(self, fast: Fast, data: Any) -> Iterator[tuple[Fast, Tensor]]:
        """The fast weights after each step, without end, and the losses before it."""
        for after, losses in super().steps(fast, data):
            has_tasks = self.objective.how is not None
            self.norms.record(after.state.count - 1, after.buffers, has_tasks)
            yield after, losses


def _rates(adapting: list[Tensor], steps: int, lr: float) -> PerStep:
    """A learned rate for each parameter and step."""
    return PerStep(
        [
            nn.ParameterList(nn.Parameter(weight.new_full((), lr)) for weight in adapting)
            for _ in range(steps)
        ]
    )


def _require_counts(**counts: object) -> None:
    for name, count in counts.items():
        if type(count) is not int or count < 0:
            raise ArgumentError(f"{name} must be a number from 0 on, got {count!r}. Give 0, 1, …")

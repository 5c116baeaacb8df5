"""The inner loop: from a model's parameters to weights that are adapted to a task, or to each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from metann.batching import Way
from metann.batching.axes import arguments_of
from metann.buffers import is_statistic
from metann.functional.transforms import is_compiling
from metann.meta.fast import Fast
from metann.meta.objective import Objective
from metann.meta.steps import Buffers, InnerStep, LossFunction, require_given_model
from metann.optim import Optimizer

# Takes a step in its own way: recomputed in the backward pass, for instance.
Taking = Callable[[InnerStep, Fast], tuple[Fast, Tensor]]


def unrolled(step: InnerStep, fast: Fast) -> tuple[Fast, Tensor]:
    """Take a step and keep its graph: memory grows with every step, time is the least."""
    return step(fast)


@dataclass(frozen=True)
class InnerLoop:
    """How fast weights come about.

    Where gradients are switched off (`torch.no_grad`) it switches them on for its own steps, and
    what it gives has no graph.

    Attributes:
        objective: the loss on data.
        optimizer: takes the steps.
        first_order: whether the gradients in the loop are taken for constants.
        taking: how a step is taken and differentiated.
    """

    objective: Objective
    optimizer: Optimizer
    first_order: bool = False
    taking: Taking = unrolled

    def start(self, data: Any) -> Fast:
        """The parameters that adapt, as fast weights; one set a task if `data` is of tasks."""
        own = [self.objective.params[name] for name in self.objective.names]
        buffers: Buffers = {}
        if self.objective.how is None:
            # Other objects than the parameters: an evaluator may read these beside them.
            own = [weight.view_as(weight) for weight in own]
        else:
            tasks = arguments_of((data,), 0).tasks
            own = [weight.expand(tasks, *weight.shape) for weight in own]
            buffers = self._statistics(tasks)
        return Fast(own, self.optimizer.init(own), buffers)

    def _statistics(self, tasks: int) -> Buffers:
        """Those of the model for each task where torch cannot make them so on its way."""
        if not is_compiling():
            return {}
        return {
            name: buffer.expand(tasks, *buffer.shape)
            for name, buffer in self.objective.buffers().items()
            if is_statistic(name)
        }

    def steps(self, fast: Fast, data: Any) -> Iterator[tuple[Fast, Tensor]]:
        """The fast weights after each step, without end, and the losses before it."""
        is_tracked = torch.is_grad_enabled()
        keeps_graph, taking = is_tracked and not self.first_order, self.taking
        while True:
            count = fast.state.count
            loss, meant = self._loss(data, count), partial(self._require_meant, data, count)
            reads, copies = partial(self._read, data), partial(self._copied, count)
            step = InnerStep(loss, self.optimizer, keeps_graph, reads, copies, meant)
            with torch.enable_grad():
                if is_tracked:
                    fast, losses = taking(step, fast.differentiable())
                else:
                    fast, losses = step(fast.detached().differentiable())
            if not is_tracked:
                fast = fast.detached()
            yield fast, losses

    def run(self, fast: Fast, data: Any, count: int) -> tuple[Fast, list[Tensor]]:
        """The fast weights after so many steps, and the losses before each of them."""
        losses: list[Tensor] = []
        for after, loss in islice(self.steps(fast, data), count):
            fast = after
            losses.append(loss)
        return fast, losses

    def _read(self, data: Any) -> Iterable[Tensor]:
        """The data, and what of the model does not adapt."""
        leaves: list[Any] = pytree.tree_leaves(data)
        yield from (leaf for leaf in leaves if isinstance(leaf, Tensor))
        objective, adapting = self.objective, {*self.objective.names}
        yield from (own for name, own in objective.params.items() if name not in adapting)
        buffers = objective.buffers().items()
        yield from (
            own for name, own in buffers if own.is_floating_point() and not is_statistic(name)
        )

    def _copied(self, step: int) -> Iterable[Tensor]:
        """Statistics and counters of the model at this step: a call works on copies of them."""
        objective = self.objective
        for name, own in (*objective.buffers().items(), *objective.at_step(step).items()):
            if is_statistic(name) or not own.is_floating_point():
                yield own if own._base is None else own._base

    def _require_meant(self, data: Any, step: int, losses: Tensor) -> None:
        """Raise if losses without a part of a fast weight can only be a mistake."""
        objective = self.objective
        slow = [objective.params[name] for name in objective.names]
        at_step = objective.at_step(step).values()  # Made anew in each call, of what is kept.
        kept = [own if own._base is None else own._base for own in at_step]
        require_given_model(losses, slow, [*self._read(data), *kept])

    def _loss(self, data: Any, step: int) -> LossFunction:
        objective = self.objective

        def loss(weights: list[Tensor], buffers: Buffers) -> tuple[Tensor, Buffers]:
            nonlocal objective
            result = objective(weights, buffers, data, step)
            objective = _settled(self.objective)
            return result

        return loss


def _settled(objective: Objective) -> Objective:
    """One that goes about its tasks as is known by now, whatever is found out later.

    A step that is computed again must do what it did, when a later one has turned to a loop.
    """
    way = objective.how
    if way is None:
        return objective
    return replace(objective, how=Way("loop" if way.loops else "vectorised"))

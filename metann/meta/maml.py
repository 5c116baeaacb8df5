"""Model-agnostic meta-learning: parameters from which a few gradient steps work well."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, cast

import torch
from torch import Tensor, nn
from typing_extensions import Self, override

from metann.batching import How, Way, over_tasks
from metann.batching.axes import arguments_of
from metann.errors import ArgumentError, BatchingError, StatisticsWarning, shown
from metann.functional.transforms import is_compiling
from metann.learner import Learner
from metann.meta.adapted import Adapted
from metann.meta.evaluated import PREFIX, DataT, Evaluated, Evaluator, learner_of
from metann.meta.fast import Fast
from metann.meta.inner_loop import InnerLoop, Taking, unrolled
from metann.meta.mixed_mode import mixed
from metann.meta.objective import Objective
from metann.meta.recomputing import recomputed
from metann.meta.selection import Filter, Selection, every_module
from metann.meta.statistics import Policy, Statistics, without_data
from metann.meta.task_axis import with_task_axis
from metann.module import DependentModule
from metann.optim import SGD, Hyper, Optimizer
from metann.typed import Called

# Of an inner loop, the support and query set, and the number of steps.
Losses = Callable[[InnerLoop, Any, Any, int], Tensor]


class MAML(nn.Module, Generic[DataT]):
    """Adapts a model to tasks by gradient steps that can be differentiated.

    In train mode it takes `steps_train` steps, in eval mode `steps_eval`; the model is in the mode
    that its modules are in. The model is never changed, but where `buffers` says so.

    Args:
        model: any module.
        steps_train: inner steps in train mode.
        steps_eval: inner steps in eval mode.
        lr: step size of the inner optimiser, `metann.optim.SGD`: a number, a tensor, or one value
            a parameter that adapts. An `nn.Parameter` is meta-learned: it is in `parameters()`.
            None if an optimizer is given.
        evaluator: `(model, data) -> loss`, a tensor of one value; it is called with a model that
            has the fast weights.
        first_order: take the gradients in the inner loop for constants (FOMAML).
        optimizer: the inner optimiser; its `nn.Parameter`s are meta-learned.
        clear_filter: of the modules whose own parameters adapt.
        names: of the parameters that adapt, or of submodules with all that is in them.
        tasks: how `task_losses` goes about its tasks: all in one pass ("vectorised"), one by one
            ("loop"), or as is possible and faster ("auto").
        checkpoint: compute each inner step again in the backward pass, in place of keeping its
            graph: memory grows per step by the weights alone (and the optimiser's state).
        mixed_mode: differentiate the gradient of each inner step in forward mode, and keep no
            graph of it either. Faster than `checkpoint` for recurrent layers.
        buffers: each task has running statistics of its own, which begin with the model's. "copy"
            leaves the model's as they are: if it has a batch normalisation, keep that in train
            mode, or it will use the statistics that it began with. "writeback" makes them, in
            train mode, the mean over the tasks of what `task_losses` has left; it is then not to
            be called by several threads.

    Raises:
        ArgumentError: a `TypeError`; an argument is of a kind that makes no sense.

    Example:
        >>> net = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 1))
        >>> def evaluator(model, data):
        ...     return nn.functional.mse_loss(model(data[0]), data[1])
        >>> maml = MAML(net, steps_train=1, steps_eval=10, lr=0.01, evaluator=evaluator)
        >>> x, y = torch.rand(25, 10, 1), torch.rand(25, 10, 1)
        >>> maml.task_losses((x, y), (x, y)).shape
        torch.Size([25])

    Source: Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
    Networks", arXiv 1703.03400.
    """

    def __init__(
        self,
        model: nn.Module,
        steps_train: int,
        steps_eval: int,
        lr: Hyper | None,
        evaluator: Evaluator[DataT],
        first_order: bool = False,
        *,
        optimizer: Optimizer | None = None,
        clear_filter: Filter = every_module,
        names: Collection[str] | None = None,
        tasks: How = "auto",
        checkpoint: bool = False,
        mixed_mode: bool = False,
        buffers: Policy = "copy",
    ) -> None:
        super().__init__()
        _require_steps(steps_train=steps_train, steps_eval=steps_eval)
        self.model = model
        self.steps_train = steps_train
        self.steps_eval = steps_eval
        self.evaluator = evaluator
        self.first_order = first_order
        self.selection: Selection = Selection(clear_filter, names)
        self.way: Way = Way(tasks)
        if checkpoint and mixed_mode:
            raise ArgumentError(
                "an inner step is computed again in one way, got checkpoint=True and "
                "mixed_mode=True. Choose one of them; the gradients are the same."
            )
        self.checkpoint = checkpoint
        self.mixed_mode = mixed_mode
        self._statistics = Statistics(buffers)
        self._is_looked_at = False
        self.optimizer = _optimizer(lr, optimizer)
        self._learner = learner_of(model)

    if TYPE_CHECKING:
        __call__: Called  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def optimizer(self) -> Optimizer:
        """The inner optimiser; another one may be set, and is learned from then on."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self.hyper_modules: nn.ModuleList = nn.ModuleList(optimizer.hyper_modules())
        self._learned = {
            name.replace(".", "_"): value for name, value in optimizer.hyper_parameters().items()
        }
        self.hyper_parameters: nn.ParameterDict = nn.ParameterDict(self._learned)

    def learned_now(self) -> dict[int, Tensor]:
        """What stands in `hyper_parameters` in the place of those that were registered there.

        By the identity of these: a state dict may have been assigned, torch.func.functional_call
        may be at work, or a parametrization registered.
        """
        pairs = ((own, self.hyper_parameters[name]) for name, own in self._learned.items())
        return {id(own): value for own, value in pairs if value is not own}

    @property
    def steps(self) -> int:
        """Inner steps in the mode that it is in."""
        return self.steps_train if self.training else self.steps_eval

    def _count(self, steps: int | None) -> int:
        if steps is not None:
            _require_steps(steps=steps)
        return self.steps if steps is None else steps

    @override
    def forward(self, data: DataT) -> DependentModule:
        """A model adapted to `data`, the support set of one task; see `adapt`."""
        return self.adapt(data).model

    def adapt(self, data: DataT, steps: int | None = None, start: Adapted | None = None) -> Adapted:
        """Adapt to one task.

        Args:
            data: the support set, as the evaluator takes it.
            steps: how many; None for `steps_train` or `steps_eval`.
            start: to go on from, in place of the model's parameters.
        """
        loop = self.inner_loop(None)
        fast = loop.start(data) if start is None else start.fast
        fast, losses = loop.run(fast, data, self._count(steps))
        return self._adapted(loop.objective, fast, losses)

    def task_losses(self, support: DataT, query: DataT, steps: int | None = None) -> Tensor:
        """The loss on the query set of each task, after adaptation to its support set: (T,).

        Args:
            support: the support sets, as the evaluator takes one, but each tensor in them with a
                leading task axis: (T, *shape).
            query: the query sets, likewise.
            steps: how many; None for `steps_train` or `steps_eval`.
        """
        return self._over_tasks(self._last_loss, support, query, steps)

    def losses_by_step(self, support: DataT, query: DataT, steps: int | None = None) -> Tensor:
        """The losses on the query sets before the first and after each step: (T, steps + 1)."""
        return self._over_tasks(self._all_losses, support, query, steps)

    def _over_tasks(self, function: Losses, support: Any, query: Any, steps: int | None) -> Tensor:
        """Call a function of an inner loop for all tasks together, or for one after the other."""
        count = self._count(steps)
        _require_same_tasks(support, query)

        def one(support: Any, query: Any) -> Tensor:
            return function(self.inner_loop(None), support, query, count)

        with self._statistics.written_into(self.model, self.training):
            if self.way.loops:
                return over_tasks(one, support, query, how="loop")
            return function(self.inner_loop(self.way), support, query, count)

    def _last_loss(self, loop: InnerLoop, support: Any, query: Any, count: int) -> Tensor:
        fast, _ = loop.run(loop.start(support), support, count)
        losses, buffers = loop.objective.last(fast, query)
        self._statistics.note(buffers, has_tasks=loop.objective.how is not None)
        return losses

    def _all_losses(self, loop: InnerLoop, support: Any, query: Any, count: int) -> Tensor:
        fast = loop.start(support)
        losses = [loop.objective.after(fast, query)]
        for after, _ in islice(loop.steps(fast, support), count):
            losses.append(loop.objective.after(after, query))
        return torch.stack(losses, dim=-1)

    def inner_loop(self, how: Way | None) -> InnerLoop:
        """The loop with these settings: over all tasks in some way, or for one (None)."""
        self._look_at_statistics()
        adapting = tuple(self.selection(self.model))
        params = dict(self.model.named_parameters())
        objective = Objective(
            self._current_learner(), self.evaluator, params, adapting, how, self.at_step
        )
        optimizer, others = self.optimizer, self.learned_now()
        if others:
            optimizer = optimizer.with_hyper_parameters(others)
        if how is not None:
            optimizer = with_task_axis(optimizer, how)
        return InnerLoop(objective, optimizer, self.first_order, self._taking())

    def _taking(self) -> Taking:
        if self.mixed_mode:
            return mixed
        return recomputed if self.checkpoint else unrolled

    def at_step(self, step: int) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Weights and buffers in place of the model's at a step, by name: none, but for MAML++."""
        return {}

    @override
    def train(self, mode: bool = True) -> Self:
        """As for any module."""
        self._is_looked_at = False
        return super().train(mode)

    def _look_at_statistics(self) -> None:
        """Warn, once in each eval mode, of running statistics that were never written."""
        if self.training or self._is_looked_at or is_compiling():
            return
        self._is_looked_at = True
        if found := without_data(self.model, self.at_step(0)):
            warnings.warn(
                f"the model is in eval mode, so {found[0]} is to use its running statistics, but "
                "these have never seen data. Make MAML with buffers='writeback', and task_losses "
                "lets them follow the tasks in train mode, or call maml.model.train() after "
                "maml.eval() to use those of each batch.",
                StatisticsWarning,
                stacklevel=5,
            )

    def _current_learner(self) -> Learner[Evaluated]:
        """Made anew if another model has taken the model's place."""
        if self._learner.module.model is not self.model:
            self._learner = learner_of(self.model)
        return self._learner

    def _adapted(self, objective: Objective, fast: Fast, losses: list[Tensor]) -> Adapted:
        named = {PREFIX + name: value for name, value in objective.named(fast).items()}
        bound: Any = self._current_learner().bind(named)
        model: DependentModule = bound.model
        stacked = torch.stack(losses) if losses else fast.weights[0].new_empty(0)
        if not hasattr(model, "inner_losses"):
            vars(model)["inner_losses"] = stacked
        return Adapted(model, stacked, fast)


def _require_steps(**steps: object) -> None:
    for name, value in steps.items():
        if type(value) is not int or value < 0:
            raise ArgumentError(
                f"{name} must be a number of steps, got {shown(value)}. Give 0, 1, 2, …; "
                "0 evaluates without adaptation."
            )


def _require_same_tasks(support: Any, query: Any) -> None:
    numbers = [arguments_of((data,), 0).tasks for data in (support, query) if data is not None]
    if len(set(numbers)) > 1:
        raise BatchingError(
            "each task has a support and a query set, got the support sets of "
            f"{numbers[0]} tasks and the query sets of {numbers[1]}. Give both for the same tasks."
        )


def _optimizer(lr: Hyper | None, optimizer: Optimizer | None) -> Optimizer:
    if optimizer is None and lr is not None:
        return SGD(lr=lr)
    given = cast("object", optimizer)
    if given is not None and not isinstance(given, Optimizer):
        kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise ArgumentError(
            f"optimizer must be one of metann.optim, got {kind}. Give an instance, as "
            "metann.optim.Adam(lr=0.01), or the first of the pair that "
            "metann.optim.from_torch(torch_optimizer) returns; its state is not taken over."
        )
    if optimizer is not None and lr is None:
        return optimizer
    raise ArgumentError(
        f"the inner loop needs a step size or an optimizer, got lr={shown(lr)} and "
        f"optimizer={shown(optimizer)}. Give lr for plain SGD, or lr=None and an optimizer, "
        "which has its own."
    )

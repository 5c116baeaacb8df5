"""What the algorithms must come to, written out plainly: one task after the other, torch alone.

Two ways, that share nothing: nets trained in place, whose gradient is carried back by explicit
products with the Hessian of each step; and weights that are results, under `functional_call`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from few_shot_cases import Data, Loss, Task
from torch import Tensor, nn
from torch.func import functional_call

Named = dict[str, Tensor]
# For every step: the learning rate of each weight that adapts, a number or one for each element.
Rates = Sequence[Named]


@dataclass
class Outcome:
    """The meta-losses of the tasks, and the gradient of their sum."""

    losses: list[Tensor] = field(default_factory=list[Tensor])
    by_weight: Named = field(default_factory=dict[str, Tensor])
    by_rate: list[Named] = field(default_factory=list[Named])
    by_step: list[Named] = field(default_factory=list[Named])
    statistics: list[Named] = field(default_factory=list[Named])


def constant(
    model: nn.Module, steps: int, rate: float, names: Sequence[str] | None = None
) -> Rates:
    """One rate for all steps and all weights, or for those of these names."""
    chosen = [n for n, p in model.named_parameters() if p.requires_grad]
    return [{n: torch.tensor(rate) for n in names or chosen} for _ in range(steps)]


def add(total: Named, others: Named, factor: float = 1.0) -> None:
    for name, other in others.items():
        total[name] = total.get(name, torch.zeros_like(other)) + factor * other


def slopes(model: nn.Module, data: Data, loss: Loss) -> tuple[Tensor, Named]:
    """The loss, and its gradient by each weight that is not frozen."""
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    value = loss(model, data)
    found = torch.autograd.grad(value, [*named.values()], allow_unused=True, materialize_grads=True)
    return value.detach(), dict(zip(named, found, strict=True))


# ── in place, and back by products with Hessians ─────────────────────────────────────────────


def trained(model: nn.Module, data: Data, loss: Loss, rates: Rates) -> list[nn.Module]:
    """The model before the first step, and after each."""
    models = [copy.deepcopy(model)]
    for rate in rates:
        moved = copy.deepcopy(models[-1])
        _, slope = slopes(moved, data, loss)
        with torch.no_grad():
            for name, parameter in moved.named_parameters():
                if name in rate:
                    parameter.sub_(rate[name] * slope[name])
        models.append(moved)
    return models


def carried_back(
    model: nn.Module, data: Data, loss: Loss, rate: Named, pull: Named
) -> tuple[Named, Named]:
    """A gradient by the weights after a step -> by those before it, and by the learning rates."""
    model = copy.deepcopy(model)
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    fast = [*rate]
    slope = torch.autograd.grad(
        loss(model, data),
        [named[n] for n in fast],
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    moved = {n: -(s * pull[n]) for n, s in zip(fast, slope, strict=True)}
    total = torch.stack([(rate[n] * m).sum() for n, m in moved.items()]).sum()
    products = torch.autograd.grad(
        total, [*named.values()], allow_unused=True, materialize_grads=True
    )
    before = {n: pull[n] + p for n, p in zip(named, products, strict=True)}
    return before, {n: m.detach().sum_to_size(rate[n].shape) for n, m in moved.items()}


def maml(
    model: nn.Module,
    tasks: Sequence[Task],
    loss: Loss,
    rates: Rates,
    importance: Sequence[float] | None = None,
    first_order: bool = False,
) -> Outcome:
    """Finn et al., arXiv 1703.03400; with rates to learn Meta-SGD, with few names ANIL.

    Args:
        importance: how much the query loss after each step counts; None for the last alone.
    """
    counts = [0.0] * (len(rates) - 1) + [1.0] if importance is None else importance
    outcome = Outcome(by_rate=[{} for _ in rates])
    for support, query in tasks:
        models = trained(model, support, loss, rates)
        pull: Named = {}
        meta_loss = torch.zeros(())
        for step in reversed(range(len(rates))):
            value, slope = slopes(copy.deepcopy(models[step + 1]), query, loss)
            meta_loss += counts[step] * value
            add(pull, slope, counts[step])
            before, by_rate = carried_back(models[step], support, loss, rates[step], pull)
            add(outcome.by_rate[step], by_rate)
            pull = pull if first_order else before
        add(outcome.by_weight, pull)
        outcome.losses.append(meta_loss)
    return outcome


def fomaml(model: nn.Module, tasks: Sequence[Task], loss: Loss, steps: int, rate: float) -> Outcome:
    """Section 5.2 of the same paper: the gradient at the adapted weights; torch.optim trains."""
    outcome = Outcome()
    for support, query in tasks:
        adapted = in_place(model, support, loss, steps, rate)
        value, slope = slopes(adapted, query, loss)
        outcome.losses.append(value)
        add(outcome.by_weight, slope)
    return outcome


def in_place(model: nn.Module, data: Data, loss: Loss, steps: int, rate: float) -> nn.Module:
    """A trained copy of the model."""
    adapted = copy.deepcopy(model)
    optimizer = torch.optim.SGD(adapted.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(adapted, data).backward()
        optimizer.step()
    return adapted


def reptile(model: nn.Module, tasks: Sequence[Data], loss: Loss, steps: int, rate: float) -> Named:
    """Nichol et al., arXiv 1803.02999: the mean of the way back from the adapted weights."""
    total: Named = {}
    for data in tasks:
        adapted = dict(in_place(model, data, loss, steps, rate).named_parameters())
        way = {n: (p - adapted[n]).detach() for n, p in model.named_parameters()}
        add(total, way, 1 / len(tasks))
    return total


# ── weights that are results ─────────────────────────────────────────────────────────────────


class _LossOf(nn.Module):
    """The loss of a model as a module, for `functional_call` with weights and buffers."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, data: Data) -> Tensor:
        return self._loss(self.model, data)

    def under(self, tensors: Named, data: Data) -> Tensor:
        named = {f"model.{name}": tensor for name, tensor in tensors.items()}
        result: Tensor = functional_call(self, named, (data,))
        return result


def maml_plus_plus(
    model: nn.Module,
    tasks: Sequence[Task],
    loss: Loss,
    rates: Rates,
    importance: Sequence[float],
    by_step: Sequence[Named],
    statistics: Sequence[Named],
    second_order: bool = True,
) -> Outcome:
    """Antoniou et al., arXiv 1810.09502, with every ingredient.

    Args:
        by_step: for each step, the weights of the normalizations, which do not adapt.
        statistics: for each step, the buffers that its two calls, for support and query, begin
            with; every task begins with the same.
    """
    called = _LossOf(copy.deepcopy(model), loss)
    # Those of the normalizations are one set a step, in place of the model's.
    start = {n: p for n, p in called.model.named_parameters() if n not in by_step[0]}
    rates = [{n: r.detach().clone().requires_grad_() for n, r in rate.items()} for rate in rates]
    outcome = Outcome(statistics=[{} for _ in rates])
    total = torch.zeros(())
    for support, query in tasks:
        weights, meta_loss = dict(start), torch.zeros(())
        for step, rate in enumerate(rates):
            buffers = {n: b.clone() for n, b in statistics[step].items()}
            value = called.under({**weights, **by_step[step], **buffers}, support)
            slope = torch.autograd.grad(
                value, [weights[n] for n in rate], create_graph=second_order
            )
            moved = {n: weights[n] - r * s for (n, r), s in zip(rate.items(), slope, strict=True)}
            weights = {**weights, **moved}
            value = called.under({**weights, **by_step[step], **buffers}, query)
            meta_loss = meta_loss + importance[step] * value
            as_floats = {n: b.to(value.dtype) for n, b in buffers.items()}
            add(outcome.statistics[step], as_floats, 1 / len(tasks))
        outcome.losses.append(meta_loss.detach())
        total = total + meta_loss
    _differentiate(total, outcome, start, rates, by_step)
    return outcome


def _differentiate(
    total: Tensor, outcome: Outcome, start: Named, rates: Rates, by_step: Sequence[Named]
) -> None:
    """Put the gradients into the outcome."""
    leaves: list[tuple[Named, str, Tensor]] = []
    outcome.by_rate, outcome.by_step = [{} for _ in rates], [{} for _ in by_step]
    tables = zip(
        [outcome.by_weight, *outcome.by_rate, *outcome.by_step],
        [start, *rates, *by_step],
        strict=True,
    )
    for table, named in tables:
        leaves += [(table, name, leaf) for name, leaf in named.items() if leaf.requires_grad]
    found = torch.autograd.grad(
        total, [leaf for _, _, leaf in leaves], allow_unused=True, materialize_grads=True
    )
    for (table, name, _), slope in zip(leaves, found, strict=True):
        table[name] = slope


# ── finite differences of the whole ──────────────────────────────────────────────────────────


def slope_along(
    model: nn.Module, tasks: Sequence[Task], loss: Loss, rates: Rates, direction: Named
) -> Tensor:
    """The derivative of the sum of the losses after the steps: central differences, 4th order.

    Args:
        direction: of length 1, so that the steps along it are small.
    """

    def total(distance: float) -> Tensor:
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for name, parameter in moved.named_parameters():
                parameter.add_(direction[name], alpha=distance)
        ends = [(trained(moved, support, loss, rates)[-1], query) for support, query in tasks]
        return torch.stack([loss(end, query).detach() for end, query in ends]).sum()

    step = 3e-4
    near, far = (total(d) - total(-d) for d in (step, 2 * step))
    return (8 * near - far) / (12 * step)

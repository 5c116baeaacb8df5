"""Running statistics of normalisations: each task's own, and the model's where asked for."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from metann.batching import How
from metann.errors import ArgumentError, StatisticsWarning, SubstitutionError
from metann.meta import MAML, MAMLPlusPlus, Reptile

TASKS = 3


def evaluator(model: nn.Module, data: tuple[Tensor, Tensor]) -> Tensor:
    return F.mse_loss(model(data[0]), data[1])


def normalised() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2))


def data() -> tuple[Tensor, Tensor]:
    return torch.randn(TASKS, 6, 4) + 2, torch.randn(TASKS, 6, 2)


def task(data: tuple[Tensor, Tensor], index: int) -> tuple[Tensor, Tensor]:
    return data[0][index], data[1][index]


def after_one_task(
    net: nn.Sequential, support: tuple[Tensor, Tensor], query: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The statistics after two steps on a support set and a look at the query set, in place."""
    own = normalised()
    own.load_state_dict(net.state_dict())
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        evaluator(own, support).backward()
        optimizer.step()
    own(query[0])
    return own[1].running_mean, own[1].running_var


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_the_models_statistics_follow_the_mean_over_the_tasks_where_asked_for(
    tasks, checkpoint: bool
) -> None:
    net, support, query = normalised(), data(), data()
    settings = {"tasks": tasks, "checkpoint": checkpoint}
    maml = MAML(net, 2, 2, 0.1, evaluator, buffers="writeback", **settings)
    found = [after_one_task(net, task(support, k), task(query, k)) for k in range(TASKS)]

    maml.task_losses(support, query).sum().backward()

    expected_mean, expected_var = (torch.stack(each).mean(0) for each in zip(*found, strict=True))
    torch.testing.assert_close(net[1].running_mean, expected_mean, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(net[1].running_var, expected_var, rtol=1e-10, atol=1e-12)
    assert net[1].num_batches_tracked == 3


def test_they_stay_as_they_are_else() -> None:
    net, support, query = normalised(), data(), data()
    before = {name: value.clone() for name, value in net.named_buffers()}

    MAML(net, 2, 2, 0.1, evaluator).task_losses(support, query)
    maml = MAML(net, 2, 2, 0.1, evaluator, buffers="writeback")
    maml(task(support, 0))
    net[1].num_batches_tracked += 1  # so that it does not warn
    maml.eval().task_losses(support, query)
    net[1].num_batches_tracked -= 1

    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())


def test_an_error_leaves_them_as_they_are() -> None:
    net, support, query = normalised(), data(), data()
    before = net[1].running_mean.clone()
    maml = MAML(net, 1, 1, 0.1, evaluator, buffers="writeback")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        maml.task_losses(support, (query[0][..., :3], query[1]))

    assert torch.equal(net[1].running_mean, before)


def test_reptiles_follow_the_way_to_the_adapted_weights() -> None:
    net, support = normalised(), data()
    Reptile(net, 2, 2, 0.1, evaluator, buffers="writeback").task_losses(support)

    assert net[1].num_batches_tracked == 2
    assert (net[1].running_mean != 0).all()


def test_statistics_that_have_never_seen_data_are_warned_of_once_in_eval_mode() -> None:
    net, support, query = normalised(), data(), data()
    maml = MAML(net, 1, 1, 0.1, evaluator)
    maml.task_losses(support, query)
    said = r"so 1 \(torch.*BatchNorm1d\) is to use its running statistics, but these have never "

    with pytest.warns(StatisticsWarning, match=said + r"seen data. Make MAML with buffers=.write"):
        maml.eval().task_losses(support, query)
    maml.task_losses(support, query)  # Warnings are errors here.
    maml.model.train()
    maml.eval().model.train()
    maml.task_losses(support, query)


def test_statistics_that_have_seen_data_are_not() -> None:
    net, support, query = normalised(), data(), data()
    maml = MAML(net, 1, 1, 0.1, evaluator, buffers="writeback")
    maml.task_losses(support, query)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = maml.eval().task_losses(support, query)

    own = maml(task(support, 0))
    torch.testing.assert_close(losses[0], evaluator(own, task(query, 0)))


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"must be 'copy' or 'writeback', got 'return'"):
        MAML(normalised(), 1, 1, 0.1, evaluator, buffers="return")


def test_maml_plus_plus_keeps_either_its_own_or_the_models() -> None:
    with pytest.raises(ArgumentError, match="Leave one of them out"):
        MAMLPlusPlus(normalised(), 1, 1, 0.1, evaluator, buffers="writeback")
    net, support, query = normalised(), data(), data()
    maml = MAMLPlusPlus(
        net,
        1,
        1,
        0.1,
        evaluator,
        buffers="writeback",
        statistics_by_step=False,
        norms_by_step=False,
    )
    maml.task_losses(support, query)

    assert net[1].num_batches_tracked == 2


class Remade(nn.Module):
    """A net with a table that is as long as the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 1)
        self.register_buffer("table", torch.ones(2))
        self.table: Tensor

    def forward(self, x: Tensor) -> Tensor:
        self.table = torch.arange(len(x)).to(x) / len(x)
        return self.net(x) * self.table.unsqueeze(-1)


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
@pytest.mark.parametrize("sizes", [(2, 2), (2, 5), (2, 1)])
def test_a_query_set_may_remake_a_buffer_in_another_shape(
    sizes: tuple[int, int], steps: int, tasks: How
) -> None:
    net = Remade()
    support, query = ((torch.randn(2, n, 3), torch.randn(2, n, 1)) for n in sizes)

    found = MAML(net, steps, steps, 0.1, evaluator, tasks=tasks).task_losses(support, query)

    for index, loss in enumerate(found):
        weights = dict(net.named_parameters())
        for _ in range(steps):
            before = evaluator_at(net, weights, task(support, index))
            slopes = torch.autograd.grad(before, [*weights.values()])
            weights = {n: w - 0.1 * s for (n, w), s in zip(weights.items(), slopes, strict=True)}
        torch.testing.assert_close(loss, evaluator_at(net, weights, task(query, index)))


def evaluator_at(net: nn.Module, weights: dict[str, Tensor], data: tuple[Tensor, Tensor]) -> Tensor:
    x, y = data
    return F.mse_loss(functional_call(net, {**weights, "table": torch.ones(2)}, x), y)


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
@pytest.mark.parametrize("size", [1, 6])
def test_no_step_goes_on_with_a_buffer_of_another_shape(size: int, tasks: How) -> None:
    support = torch.randn(2, size, 3), torch.randn(2, size, 1)

    with pytest.raises(SubstitutionError, match=rf"model\.table must be .* got .* \({size},\)"):
        MAML(Remade(), 2, 2, 0.1, evaluator, tasks=tasks).task_losses(support, support)

"""`Learner.batched`: weights, buffers, random numbers and refusals of each task."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metann import Learner
from metann.errors import ArgumentError, BatchingError, LoopWarning, SubstitutionError

TASKS = 3


def sets_of(net: nn.Module) -> dict[str, Tensor]:
    """Weights of each task, by name."""
    return {
        name: torch.stack([p * scale for scale in (0.9, 1.0, 1.2)]).detach()
        for name, p in net.named_parameters()
    }


def normalising() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2))


class Reading(nn.Module):
    """Reads a value, which no vmap allows."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        return y if y.sum().item() > 0 else -y


@pytest.mark.parametrize("given", [dict, OrderedDict, "list", "iterator"])
def test_weights_in_every_form(given: Any):
    net, x = nn.Linear(4, 2), torch.randn(TASKS, 5, 4)
    named = sets_of(net)
    listed = list(named.values())
    params = {"list": listed, "iterator": iter(listed)}.get(given) or given(named)

    found = Learner(net).batched(params, True, x)

    expected = [x[i] @ named["weight"][i].T + named["bias"][i] for i in range(TASKS)]
    torch.testing.assert_close(found, torch.stack(expected))


def test_each_task_has_buffers_of_its_own_which_carry_on():
    net = normalising()
    learner, sets = Learner(net), sets_of(net)
    before = copy.deepcopy(net.state_dict())
    buffers: dict[str, Tensor] = {}
    alone: list[dict[str, Tensor]] = [{} for _ in range(TASKS)]

    for x in torch.randn(2, TASKS, 6, 4):
        found, buffers = learner.batched({**sets, **buffers}, True, x, buffers="return")
        for task in range(TASKS):
            own = {name: weight[task] for name, weight in sets.items()}
            call = learner.functional({**own, **alone[task]}, True, x[task], buffers="return")
            expected, alone[task] = call
            torch.testing.assert_close(found[task], expected)

    for task in range(TASKS):
        torch.testing.assert_close({n: b[task] for n, b in buffers.items()}, alone[task])
    torch.testing.assert_close(net.state_dict(), before)


def test_given_buffers_of_each_task_are_used_in_eval_mode():
    net, x = normalising(), torch.randn(TASKS, 6, 4)
    sets = sets_of(net)
    mean = torch.randn(TASKS, 3)

    found = Learner(net).batched({**sets, "1.running_mean": mean}, False, x)

    for task in range(TASKS):
        own = {name: weight[task] for name, weight in sets.items()}
        expected = Learner(net).functional({**own, "1.running_mean": mean[task]}, False, x[task])
        torch.testing.assert_close(found[task], expected)


def test_buffers_cannot_be_written_back():
    with pytest.raises(
        ArgumentError,
        match=r"^buffers='writeback' in a call for all tasks: each task has buffers of its own, "
        r"and the module can hold only one\. Use buffers='return', and store what you make of "
        r"them\.$",
    ):
        Learner(normalising()).batched([], True, torch.randn(3, 6, 4), buffers="writeback")


def test_dropout_draws_other_numbers_for_each_task_in_train_mode_only():
    net = nn.Sequential(nn.Linear(50, 50, bias=False), nn.Dropout())
    same = [net[0].weight.detach().expand(TASKS, 50, 50)]
    x = torch.ones(TASKS, 50)

    trained = Learner(net).batched(same, True, x)
    evaluated = Learner(net).batched(same, False, x)

    assert len({tuple((row == 0).tolist()) for row in trained}) == TASKS
    assert 0.3 < (trained == 0).double().mean() < 0.7
    torch.testing.assert_close(evaluated, torch.stack([net[0](x[0])] * TASKS))


def test_second_order_gradients_are_those_of_one_call_a_task():
    net, x = normalising(), torch.randn(TASKS, 6, 4)
    sets = {name: weight.requires_grad_() for name, weight in sets_of(net).items()}
    weights, learner = [*sets.values()], Learner(net)

    def second(outputs: Tensor) -> tuple[Tensor, ...]:
        first = torch.autograd.grad(outputs.pow(3).sum(), weights, create_graph=True)
        return torch.autograd.grad(torch.stack([g.square().sum() for g in first]).sum(), weights)

    found = second(learner.batched(sets, True, x))

    alone = [learner.functional([w[i] for w in weights], True, x[i]) for i in range(TASKS)]
    torch.testing.assert_close(found, second(torch.stack(alone)))


def test_inside_a_gradient_and_a_vmap_of_torch():
    net, x = normalising(), torch.randn(TASKS, 6, 4)
    learner, sets = Learner(net), [*sets_of(net).values()]

    def loss(sets: list[Tensor], x: Tensor) -> Tensor:
        return learner.batched(sets, True, x).pow(3).sum()

    def looped(sets: list[Tensor], x: Tensor) -> Tensor:
        alone = [learner.functional([w[i] for w in sets], True, x[i]) for i in range(TASKS)]
        return torch.stack(alone).pow(3).sum()

    torch.testing.assert_close(torch.func.grad(loss)(sets, x), torch.func.grad(looped)(sets, x))
    two = torch.stack([x, -x])
    torch.testing.assert_close(
        torch.vmap(loss, (None, 0))(sets, two), torch.stack([looped(sets, own) for own in two])
    )
    with torch.no_grad():
        assert not learner.batched(sets, True, x).requires_grad


def test_a_mode_for_every_submodule_or_the_one_they_are_in():
    net = normalising()
    net[1].eval()
    x, sets = torch.randn(TASKS, 6, 4), sets_of(net)

    kept = Learner(net).batched(sets, None, x)

    torch.testing.assert_close(kept, Learner(net).batched(sets, False, x))


def test_what_cannot_be_batched_is_called_once_a_task_and_said_once():
    net, x = Reading(), torch.randn(TASKS, 5, 4)
    learner, sets = Learner(net), sets_of(net)

    with pytest.warns(
        LoopWarning,
        match=r"^one pass over 3 tasks was asked for, but Reading cannot be batched: vmap: It "
        r"looks like you're calling \.item\(\) on a Tensor\. From now on it is called once a task, "
        r"with the same results\. It may stay so: "
        r"warnings\.simplefilter\(\"ignore\", LoopWarning\), or tasks=\"loop\" in MAML and "
        r"how=\"loop\" in over_tasks\.$",
    ) as said:
        found = learner.batched(sets, True, x, buffers="copy")

    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(learner.batched(sets, True, x), found)
    for task in range(TASKS):
        own = [weight[task] for weight in sets.values()]
        torch.testing.assert_close(found[task], learner.functional(own, True, x[task]))


def test_buffers_of_a_module_that_cannot_be_batched():
    net = nn.Sequential(Reading(), nn.BatchNorm1d(2))
    x, sets, learner = torch.randn(TASKS, 5, 4), sets_of(net), Learner(net)

    with pytest.warns(LoopWarning):
        _, buffers = learner.batched(sets, True, x, buffers="return")

    assert buffers["1.running_mean"].shape == (TASKS, 2)
    assert len(buffers["1.running_mean"].unique(dim=0)) == TASKS
    assert buffers["1.num_batches_tracked"].tolist() == [1, 1, 1]


def test_misfits_are_named_and_no_loop_is_tried():
    sets = {"weight": torch.ones(TASKS, 2, 4), "bias": torch.ones(TASKS, 3)}

    with pytest.raises(SubstitutionError, match=r"bias must have shape \(2,\), got \(3,\)"):
        Learner(nn.Linear(4, 2)).batched(sets, True, torch.ones(TASKS, 4))


def test_sizes_that_differ_are_named():
    net = nn.Linear(4, 2)

    with pytest.raises(
        BatchingError,
        match=r"got 3 in params\['weight'\] \(3, 2, 4\), params\['bias'\] \(3, 2\); 2 in "
        r"args\[0\] \(2, 4\)\. Stack one",
    ):
        Learner(net).batched(sets_of(net), True, torch.ones(2, 4))


def test_a_learner_that_loops_does_so_after_pickling():
    learner = Learner(Reading())
    with pytest.warns(LoopWarning):
        learner.batched(sets_of(learner.module), True, torch.randn(TASKS, 5, 4))

    again = pickle.loads(pickle.dumps(learner))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = again.batched(sets_of(learner.module), True, torch.randn(TASKS, 5, 4))
    assert found.shape == (TASKS, 5, 2)

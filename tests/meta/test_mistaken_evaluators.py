"""Evaluators with a usual slip: what is said, and that nothing is said of those without one."""

from __future__ import annotations

import copy
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from few_shot_cases import Data, classification, draw_tasks, mlp, stacked
from imaml_cases import imaml_of
from torch import Tensor, nn

from metann import optim
from metann.errors import ArgumentError
from metann.meta import ANIL, MAML, MAMLPlusPlus, MetaSGD, Reptile

Making = Callable[[nn.Module, Any], MAML[Any]]
HAS_NOTES = sys.version_info >= (3, 11)

KINDS: dict[str, Making] = {
    "MAML": lambda net, ev: MAML(net, 2, 2, 0.1, ev),
    "first order": lambda net, ev: MAML(net, 2, 2, 0.1, ev, first_order=True),
    "recomputed": lambda net, ev: MAML(net, 2, 2, 0.1, ev, checkpoint=True),
    "mixed mode": lambda net, ev: MAML(net, 2, 2, 0.1, ev, mixed_mode=True),
    "in turn": lambda net, ev: MAML(net, 2, 2, 0.1, ev, tasks="loop"),
    "Adam": lambda net, ev: MAML(net, 2, 2, None, ev, optimizer=optim.Adam(lr=0.1)),
    "ANIL": lambda net, ev: ANIL(net, 2, 2, 0.1, ev),
    "ANIL in mixed mode": lambda net, ev: ANIL(net, 2, 2, 0.1, ev, mixed_mode=True),
    "MetaSGD": lambda net, ev: MetaSGD(net, 2, 2, 0.1, ev),
    "MAML++": lambda net, ev: MAMLPlusPlus(net, 2, 2, 0.1, ev),
    "Reptile": lambda net, ev: Reptile(net, 2, 2, 0.1, ev).eval(),
    "IMAML": lambda net, ev: imaml_of(net, 2, ev),
    "IMAML without a step": lambda net, ev: imaml_of(net, 0, ev),
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


# ── what adapts has no part in the loss ──────────────────────────────────────────────────────


@every_kind
def test_calling_the_net_itself(make: Making) -> None:
    net, tasks = mlp(), draw_tasks()
    maml = make(net, lambda model, data: classification(net, data))

    with pytest.raises(ArgumentError, match=r"Call the model that the evaluator is given, not the"):
        maml(tasks[0][0])
    with pytest.raises(ArgumentError, match=r"Call the model that the evaluator is given, not the"):
        maml.task_losses(*stacked(tasks))


def test_calling_the_net_itself_without_gradients_outside() -> None:
    net = mlp()
    maml = MAML(net, 2, 2, 0.1, lambda model, data: classification(net, data))

    with torch.no_grad(), pytest.raises(ArgumentError, match=r"Call the model that the evaluator"):
        maml.adapt(draw_tasks()[0][0])


@every_kind
def test_calling_a_copy_of_the_net(make: Making) -> None:
    net = mlp()
    other = copy.deepcopy(net)
    maml = make(net, lambda model, data: classification(other, data))

    with pytest.raises(ArgumentError, match=r"on nothing else that the evaluator was given"):
        maml(draw_tasks()[0][0])


def test_a_learned_loss_of_detached_outputs() -> None:
    learned = nn.Linear(4, 1)
    maml = MAML(mlp(), 1, 1, 0.1, lambda model, data: learned(model(data[0]).detach()).mean())

    with pytest.raises(ArgumentError, match=r"output of that model, without detach\(\)"):
        maml(draw_tasks()[0][0])


def test_calling_both_is_no_mistake() -> None:
    net, (support, _) = mlp(), draw_tasks()[0]

    def towards(model: nn.Module, data: Data) -> Tensor:
        return classification(model, data) + (model(data[0]) - net(data[0])).square().mean()

    assert not torch.equal(MAML(net, 2, 2, 0.1, towards)(support)[0].weight, net[0].weight)


@pytest.mark.parametrize(
    "settings",
    [{}, {"checkpoint": True}, {"mixed_mode": True}, {"tasks": "loop"}, {"first_order": True}],
    ids=str,
)
def test_a_task_that_does_not_use_what_adapts_leaves_it_alone(settings: dict[str, Any]) -> None:
    net, tasks = mlp(), draw_tasks()

    def of_the_body(model: Any, data: Data) -> Tensor:
        return model[0](data[0]).square().mean()

    maml = MAML(net, 2, 2, 0.1, of_the_body, names=["2.weight", "2.bias"], **settings)
    adapted = maml(tasks[0][0])
    losses = maml.task_losses(*stacked(tasks))
    losses.sum().backward()

    assert torch.equal(adapted[2].weight, net[2].weight)
    torch.testing.assert_close(losses, torch.stack([of_the_body(net, query) for _, query in tasks]))
    assert net[0].weight.grad is not None
    assert net[0].weight.grad.abs().sum() > 0


def test_a_task_that_uses_the_norm_of_its_step_alone() -> None:
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4))
    maml = MAMLPlusPlus(net, 3, 3, 0.1, lambda model, data: model[0](data[0]).square().mean())
    support, _ = draw_tasks()[0]

    adapted = maml(support)

    assert torch.equal(adapted[1].weight, net[1].weight)


# ── what the evaluator returns, or raises ────────────────────────────────────────────────────


def test_a_loss_that_is_a_number() -> None:
    maml = MAML(mlp(), 1, 1, 0.1, lambda model, data: classification(model, data).item())

    with pytest.raises(ArgumentError, match=r"got float\. Return the tensor itself, without item"):
        maml(draw_tasks()[0][0])


def test_a_loss_of_each_sample() -> None:
    maml = MAML(mlp(), 1, 1, 0.1, lambda model, data: model(data[0]).sum(1))

    with pytest.raises(ArgumentError, match=r"got shape \(6,\)\. Take the mean over the samples"):
        maml(draw_tasks()[0][0])


def notes_of(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", []))


without_notes = pytest.mark.skipif(not HAS_NOTES, reason="errors have notes from Python 3.11 on")


@without_notes
@every_kind
def test_an_evaluator_of_three_arguments_gets_a_note(make: Making) -> None:
    maml = make(mlp(), lambda model, x, y: classification(model, (x, y)))

    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'y'") as error:
        maml.task_losses(*stacked(draw_tasks()))

    assert type(error.value) is TypeError
    assert notes_of(error.value).count("evaluator(model, data)") == 1
    assert re.search(
        r"the data of one (of 3 )?tasks?, tensors of shapes: \(6, 4\), \(6,\)\.",
        notes_of(error.value),
    )
    assert "The first axis of what task_losses is given counts tasks" in notes_of(error.value)


@without_notes
def test_data_with_a_task_axis_too_many_are_shown() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2))
    maml = MAML(net, 1, 1, 0.1, lambda model, data: model(data).square().mean())

    with pytest.raises(RuntimeError, match=r"conv2d") as error:
        maml(torch.randn(3, 5, 1, 3, 3))

    assert "of one task, tensors of shapes: (3, 5, 1, 3, 3)." in notes_of(error.value)
    assert "adapt takes the data of one task, without that axis" in notes_of(error.value)


@without_notes
@pytest.mark.parametrize("tasks", ["auto", "vectorised", "loop"])
def test_the_error_is_the_very_one_that_was_raised(tasks: Any) -> None:
    wrong = KeyError("labels")

    def raising(model: Any, data: Data) -> Tensor:
        raise wrong

    with pytest.raises(KeyError) as error:
        MAML(mlp(), 1, 1, 0.1, raising, tasks=tasks).task_losses(*stacked(draw_tasks()))

    assert error.value is wrong
    assert ("one task," if tasks == "loop" else "one of 3 tasks,") in notes_of(wrong)


@without_notes
def test_many_tensors_are_not_all_listed() -> None:
    maml = MAML(mlp(), 1, 1, 0.1, lambda model, data: model(data))

    with pytest.raises(TypeError) as error:
        maml([torch.randn(2, 3)] * 20)

    assert notes_of(error.value).count("(2, 3)") == 6


def test_an_error_of_metann_is_as_it_was() -> None:
    maml = MAML(mlp(), 1, 1, 0.1, lambda model, data: model(data[0]))

    with pytest.raises(ArgumentError) as error:
        maml(draw_tasks()[0][0])

    assert not notes_of(error.value)


def test_what_torch_cannot_batch_is_still_done_in_turn() -> None:
    def reading(model: Any, data: Data) -> Tensor:
        return classification(model, data) * (2 if data[0].sum().item() > -1e9 else 1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        losses = MAML(mlp(), 1, 1, 0.1, reading).task_losses(*stacked(draw_tasks()))

    assert losses.shape == (3,)
    assert any("cannot be batched" in str(warning.message) for warning in caught)

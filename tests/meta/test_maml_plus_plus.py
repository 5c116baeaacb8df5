"""MAML++ against a reference written out plainly: every ingredient, and all together."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import references
import torch
from few_shot_cases import NETS, classification, convolution, draw_tasks, stacked
from references import Named, constant
from torch import Tensor, nn

from metann.errors import ArgumentError
from metann.meta import MAML, MAMLPlusPlus

CLOSE: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}
NORMS = ("2", "5")
STEPS = 3


def build(model: nn.Module, **settings: Any) -> MAMLPlusPlus[Any]:
    """Rates, weights and statistics that differ from step to step and from tensor to tensor."""
    maml = MAMLPlusPlus(model, STEPS, 5, 0.1, classification, **settings)
    with torch.no_grad():
        for rate in maml.hyper_parameters.values():
            rate.uniform_(0.05, 0.4)
        for later in maml.norms.later:
            later.uniform_(0.5, 1.5)
        for statistic in maml.norms.statistics.buffers():
            if statistic.is_floating_point():
                statistic.uniform_(0.5, 1.5)
    return maml


def rates_of(maml: MAMLPlusPlus[Any], names: list[str]) -> references.Rates:
    found = maml.hyper_parameters
    return [
        {name: found[f"lr_{step}_{index}"] for index, name in enumerate(names)}
        for step in range(STEPS)
    ]


def adapting(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters() if name.split(".")[0] not in NORMS]


def norms_of(model: nn.Module, maml: MAMLPlusPlus[Any]) -> list[Named]:
    """For each step, weights of the normalizations as leaves of their own."""
    names = [n for n, _ in model.named_parameters() if n.split(".")[0] in NORMS]
    parameters = dict(model.named_parameters())
    first = {name: parameters[name] for name in names}
    later = [
        {name: later[step] for name, later in zip(names, maml.norms.later, strict=True)}
        for step in range(STEPS - 1)
    ]
    return [{n: w.detach().clone().requires_grad_() for n, w in s.items()} for s in [first, *later]]


def statistics_of(model: nn.Module, maml: MAMLPlusPlus[Any]) -> list[Named]:
    names = [name for name, _ in model.named_buffers()]
    kept = [*maml.norms.statistics.buffers()]
    return [
        {name: buffer[step].clone() for name, buffer in zip(names, kept, strict=True)}
        for step in range(STEPS)
    ]


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
@pytest.mark.parametrize("epoch", [0, 2, 9])
def test_all_ingredients_together(epoch: int, tasks: Any) -> None:
    model, drawn = convolution(), draw_tasks()
    maml = build(model, multi_step_epochs=5, second_order_epoch=2, tasks=tasks)
    maml.set_epoch(epoch)
    by_step = norms_of(model, maml)
    expected = references.maml_plus_plus(
        model,
        drawn,
        classification,
        rates_of(maml, adapting(model)),
        maml.importance(STEPS),
        by_step,
        statistics_of(model, maml),
        second_order=epoch >= 2,
    )

    losses = maml.task_losses(*stacked(drawn))
    losses.sum().backward()

    torch.testing.assert_close([*losses.detach()], expected.losses, **CLOSE)
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    torch.testing.assert_close(
        {name: found[name] for name in adapting(model)}, expected.by_weight, **CLOSE
    )
    for step, rates in enumerate(rates_of(maml, adapting(model))):
        torch.testing.assert_close(
            {name: rate.grad for name, rate in rates.items()}, expected.by_rate[step], **CLOSE
        )
    torch.testing.assert_close(
        {
            name: found[name] if found[name] is not None else 0 * weight
            for name, weight in by_step[0].items()
        },
        expected.by_step[0],
        **CLOSE,
    )
    for step in range(1, STEPS):
        for later, slope in zip(maml.norms.later, expected.by_step[step].values(), strict=True):
            assert later.grad is not None
            torch.testing.assert_close(later.grad[step - 1], slope, **CLOSE)


@pytest.mark.parametrize("net", ["mlp", "tied", "lstm"])
def test_losses_after_every_step(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    maml = MAMLPlusPlus(model, 3, 3, 0.3, classification, learns_rates=False)
    maml.set_epoch(6)
    expected = references.maml(
        model, tasks, classification, constant(model, 3, 0.3), [0.2, 0.2, 0.6]
    )

    losses = maml.task_losses(*stacked(tasks))
    losses.sum().backward()

    torch.testing.assert_close(maml.importance(3), [0.2, 0.2, 0.6])
    torch.testing.assert_close([*losses.detach()], expected.losses, **CLOSE)
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    torch.testing.assert_close(found, expected.by_weight, **CLOSE)


@pytest.mark.parametrize("net", ["mlp", "convolution", "transformer"])
def test_without_its_ingredients_it_is_maml(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    bare = MAMLPlusPlus(
        model,
        3,
        3,
        0.3,
        classification,
        multi_step_epochs=0,
        learns_rates=False,
        norms_by_step=False,
        statistics_by_step=False,
    )

    assert torch.equal(
        bare.task_losses(*stacked(tasks)),
        MAML(model, 3, 3, 0.3, classification).task_losses(*stacked(tasks)),
    )
    assert [*bare.parameters()] == [*model.parameters()]


# ── the weights of the losses, and the order of the derivatives ──────────────────────────────


def test_earlier_losses_count_less_with_every_epoch_until_the_last_one_is_alone() -> None:
    maml = MAMLPlusPlus(NETS["mlp"](), 5, 5, 0.1, classification, multi_step_epochs=10)
    counts: list[list[float]] = []
    for epoch in (0, 5, 9, 10):
        maml.set_epoch(epoch)
        counts.append(maml.importance(5))

    assert counts[0] == pytest.approx([0.2] * 5)
    assert counts[1] == pytest.approx([0.1] * 4 + [0.6])
    assert counts[2] == pytest.approx([0.02] * 4 + [0.92])
    assert counts[3] == [0.0] * 4 + [1.0]
    assert maml.eval().importance(3) == [0.0, 0.0, 1.0]


def test_the_share_of_an_earlier_loss_has_a_floor() -> None:
    maml = MAMLPlusPlus(NETS["mlp"](), 5, 5, 0.1, classification, multi_step_epochs=100)
    maml.set_epoch(99)

    assert maml.importance(5) == pytest.approx([0.006] * 4 + [0.976])


def test_derivatives_become_second_order_at_an_epoch() -> None:
    maml = MAMLPlusPlus(NETS["mlp"](), 2, 2, 0.1, classification, second_order_epoch=4)
    orders: list[bool] = []
    for epoch in (0, 3, 4, 9):
        maml.set_epoch(epoch)
        orders.append(maml.first_order)

    assert orders == [True, True, False, False]


def test_first_order_is_for_all_epochs() -> None:
    maml = MAMLPlusPlus(NETS["mlp"](), 2, 2, 0.1, classification, True)
    maml.set_epoch(9)

    assert maml.first_order


@pytest.mark.parametrize("name", ["multi_step_epochs", "second_order_epoch"])
def test_epochs_are_counted_from_zero(name: str) -> None:
    settings: Any = {name: -1}
    with pytest.raises(ArgumentError, match=rf"{name} must be a number from 0 on, got -1"):
        MAMLPlusPlus(NETS["mlp"](), 2, 2, 0.1, classification, **settings)


def test_there_is_a_step_to_learn_from() -> None:
    with pytest.raises(ArgumentError, match=r"learns from its steps, got steps_train=0"):
        MAMLPlusPlus(NETS["mlp"](), 0, 2, 0.1, classification)


# ── statistics ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
def test_each_step_keeps_statistics_of_its_own(tasks: Any) -> None:
    model, drawn = convolution(), draw_tasks()
    maml = build(model, multi_step_epochs=0, tasks=tasks)
    before, untouched = statistics_of(model, maml), copy.deepcopy(dict(model.named_buffers()))
    calls = calls_by_step(model, maml, drawn)

    maml.task_losses(*stacked(drawn))

    after = statistics_of(model, maml)
    for step, (old, new) in enumerate(zip(before, after, strict=True)):
        for name in ("2.running_mean", "2.running_var", "5.running_mean", "5.running_var"):
            mean = torch.stack([call[name] for call in calls[step]]).mean(0)
            torch.testing.assert_close(new[name], mean, **CLOSE)
            assert not torch.allclose(new[name], old[name])
        assert new["2.num_batches_tracked"] == old["2.num_batches_tracked"] + 1
    torch.testing.assert_close(dict(model.named_buffers()), untouched, rtol=0, atol=0)


def calls_by_step(model: nn.Module, maml: MAMLPlusPlus[Any], tasks: list[Any]) -> list[list[Named]]:
    """What each call makes of the statistics: support at every step, query at the last."""
    by_step, begin = norms_of(model, maml), statistics_of(model, maml)
    rates = rates_of(maml, adapting(model))
    calls: list[list[Named]] = [[] for _ in range(STEPS)]
    for support, query in tasks:
        net = copy.deepcopy(model)
        for step in range(STEPS):
            net.load_state_dict({**by_step[step], **begin[step]}, strict=False)
            _, slopes = references.slopes(net, support, classification)
            calls[step].append(copy.deepcopy(dict(net.named_buffers())))
            with torch.no_grad():
                for name, rate in rates[step].items():
                    net.get_parameter(name).sub_(rate * slopes[name])
        net.load_state_dict(begin[-1], strict=False)
        classification(net, query)
        calls[-1].append(dict(net.named_buffers()))
    return calls


def test_evaluation_uses_the_statistics_of_each_step_and_changes_none() -> None:
    model, tasks = convolution(), draw_tasks()
    maml = build(model).eval()
    before, by_step = statistics_of(model, maml), norms_of(model, maml)
    rates = rates_of(maml, adapting(model))
    later = [2, 2]  # The last ones hold on: there are five steps in evaluation.
    expected: list[Tensor] = []
    for support, query in tasks:
        net = copy.deepcopy(model).eval()
        for step in [0, 1, 2, *later]:
            net.load_state_dict({**by_step[step], **before[step]}, strict=False)
            _, slopes = references.slopes(net, support, classification)
            with torch.no_grad():
                for name, rate in rates[step].items():
                    net.get_parameter(name).sub_(rate * slopes[name])
        expected.append(classification(net, query).detach())

    torch.testing.assert_close([*maml.task_losses(*stacked(tasks)).detach()], expected, **CLOSE)
    one_by_one = [classification(maml(support), query).detach() for support, query in tasks]
    torch.testing.assert_close(one_by_one, expected, **CLOSE)
    torch.testing.assert_close(statistics_of(model, maml), before, rtol=0, atol=0)


def test_a_failing_evaluator_leaves_the_statistics_alone() -> None:
    model, tasks = convolution(), draw_tasks()
    calls = iter(range(9))

    def failing(net: nn.Module, data: Any) -> Tensor:
        if next(calls) == 2:
            raise ValueError("the third call")
        return classification(net, data)

    maml = MAMLPlusPlus(model, 3, 3, 0.1, failing, tasks="vectorised")
    before = statistics_of(model, maml)

    with pytest.raises(ValueError, match=r"the third call"):
        maml.task_losses(*stacked(tasks))
    torch.testing.assert_close(statistics_of(model, maml), before, rtol=0, atol=0)


def test_the_adapted_model_is_that_of_the_last_step() -> None:
    model, ((support, _), *_) = convolution(), draw_tasks()
    maml = build(model)

    adapted = maml(support)

    last = norms_of(model, maml)[-1]
    assert isinstance(adapted[2], nn.BatchNorm2d)
    torch.testing.assert_close(adapted[2].weight, last["2.weight"])
    model.load_state_dict(adapted.state_dict())


# ── as a module ──────────────────────────────────────────────────────────────────────────────


def test_everything_learned_is_in_the_state() -> None:
    maml, other = build(convolution()), build(convolution())

    other.load_state_dict(maml.state_dict())

    support, query = stacked(draw_tasks())
    assert torch.equal(maml.task_losses(support, query), other.task_losses(support, query))


@pytest.mark.parametrize("through", [copy.deepcopy, lambda maml: pickle.loads(pickle.dumps(maml))])
def test_a_copy_learns_by_itself(through: Any) -> None:
    maml = build(convolution())
    support, query = stacked(draw_tasks())
    copied = through(maml)

    assert torch.equal(copied.task_losses(support, query), maml.task_losses(support, query))
    copied.task_losses(support, query).sum().backward()

    assert {p.grad is None for p in maml.parameters()} == {True}
    assert {p.grad is None for p in copied.parameters()} == {False}


def test_normalizations_may_adapt_if_they_are_not_kept_by_step() -> None:
    model, ((support, _), *_) = convolution(), draw_tasks()
    maml = MAMLPlusPlus(model, 1, 1, 0.3, classification, norms_by_step=False)

    adapted = maml(support)

    assert isinstance(adapted[2], nn.BatchNorm2d)
    assert not torch.equal(adapted[2].weight, model.get_parameter("2.weight"))
    assert len(maml.norms.later) == 0


def test_frozen_normalizations_stay_the_same_at_all_steps() -> None:
    model = convolution()
    model.get_parameter("2.weight").requires_grad_(False)

    assert len(build(model).norms.later) == 3


def test_one_step_needs_no_further_weights() -> None:
    maml = MAMLPlusPlus(convolution(), 1, 1, 0.1, classification)

    assert [parameter.numel() for parameter in maml.norms.parameters()] == []
    maml.task_losses(*stacked(draw_tasks())).sum().backward()
    assert {parameter.grad is None for parameter in maml.parameters()} == {False}


def test_what_it_learns_has_the_dtype_of_the_model() -> None:
    maml = MAMLPlusPlus(convolution().to(torch.bfloat16), 2, 2, 0.1, classification)

    assert {parameter.dtype for parameter in maml.parameters()} == {torch.bfloat16}


def test_what_adapts_can_be_narrowed_further() -> None:
    model, ((support, _), *_) = convolution(), draw_tasks()
    maml = MAMLPlusPlus(model, 1, 1, 0.3, classification, clear_filter=of_convolutions)

    adapted = maml(support)

    moved = {n: p - adapted.get_buffer(n) for n, p in model.named_parameters()}
    # What stands before a normalization needs no bias.
    assert [n for n, by in moved.items() if by.abs().max() > 1e-9] == ["1.weight", "4.weight"]


def of_convolutions(module: nn.Module) -> bool:
    return isinstance(module, (nn.Conv2d, nn.BatchNorm2d))


def test_adapting_to_one_task_in_train_mode_moves_the_statistics_of_its_steps() -> None:
    model, ((support, _), *_) = convolution(), draw_tasks()
    maml = build(model)
    before, by_step = statistics_of(model, maml), norms_of(model, maml)
    net = copy.deepcopy(model)
    net.load_state_dict({**by_step[0], **before[0]}, strict=False)
    classification(net, support)

    maml.adapt(support, steps=1)

    after = statistics_of(model, maml)
    torch.testing.assert_close(after[0], dict(net.named_buffers()), **CLOSE)
    torch.testing.assert_close(after[1:], before[1:], rtol=0, atol=0)

"""Steps that are differentiated in forward mode have the gradients of steps that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from few_shot_cases import NETS, classification, draw_tasks, dropping, stacked
from inner_steps import OPTIMIZERS, Problem, Start, problem
from test_recomputing import Checkpointed
from torch import Tensor, nn
from torch.autograd import forward_ad

from metann.errors import ArgumentError, MixedModeError
from metann.meta import MAML, InnerStep, mixed_mode
from metann.meta.inner_loop import Taking
from metann.meta.mixed_mode import mixed
from metann.meta.steps import Buffers

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def assert_as_unrolled(given: Problem) -> None:
    torch.testing.assert_close(given.gradients(mixed), given.expected(), **CLOSE)


@pytest.fixture
def left_to_recomputed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the steps that are not differentiated in mixed mode."""
    numbers: list[int] = []
    original = mixed_mode.recomputed

    def noted(step, given):
        if isinstance(step, InnerStep):  # The update alone is recomputed always.
            numbers.append(given.state.count)
        return original(step, given)

    monkeypatch.setattr(mixed_mode, "recomputed", noted)
    return numbers


# ── gradients ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_gradients_reach_all_leaves_that_a_step_reads(
    net: str, optimizer: str, left_to_recomputed: list[int]
) -> None:
    given = problem(net, optimizer)

    assert_as_unrolled(given)
    assert all(gradient.any() for gradient in given.expected().values())
    assert left_to_recomputed == []


@pytest.mark.parametrize("net", NETS)
def test_what_reads_results_is_recomputed(net: str, left_to_recomputed: list[int]) -> None:
    assert_as_unrolled(problem(net, "momentum", of_results=True))
    assert left_to_recomputed == [0, 1, 2]


def test_buffers_with_a_history_are_recomputed(left_to_recomputed: list[int]) -> None:
    given = problem("mlp")

    def begin() -> Start:
        step, start = given.begin()

        def loss(weights: list[Tensor], buffers: Buffers) -> tuple[Tensor, Buffers]:
            value, _ = step.loss(weights, buffers)
            return value + buffers.get("norm", 0.0), {"norm": weights[0].square().sum()}

        return replace(step, loss=loss), start

    assert_as_unrolled(Problem(given.inputs, begin))
    assert left_to_recomputed == [0, 1, 2]


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
@pytest.mark.parametrize("net", NETS)
def test_all_tasks_at_once(net: str, tasks: str, left_to_recomputed: list[int]) -> None:
    model, (support, query) = NETS[net](), stacked(draw_tasks())

    def gradients(**settings: bool) -> tuple[Tensor, ...]:
        maml = MAML(model, 3, 3, 0.3, classification, tasks=tasks, **settings)
        return torch.autograd.grad(maml.task_losses(support, query).sum(), [*model.parameters()])

    torch.testing.assert_close(gradients(mixed_mode=True), gradients(), **CLOSE)
    assert left_to_recomputed == []


def squared(model: nn.Module, data: tuple[Tensor, Tensor]) -> Tensor:
    """Of a constant target: forward over reverse, torch has no rule for its mean."""
    return F.mse_loss(model(data[0]), F.one_hot(data[1], 4).to(torch.float64))


def squared_by_layer(model: nn.Module, data: tuple[Tensor, Tensor]) -> Tensor:
    return nn.MSELoss()(model(data[0]), F.one_hot(data[1], 4).to(torch.float64))


@pytest.mark.parametrize("loss", [squared, squared_by_layer])
def test_squared_errors(loss: Callable[[nn.Module, Any], Tensor]) -> None:
    model, tasks = NETS["mlp"](), draw_tasks()
    support, query = stacked(tasks)

    def gradients(**settings: Any) -> tuple[Tensor, ...]:
        maml = MAML(model, 3, 3, 0.3, loss, **settings)
        of_all = maml.task_losses(support, query).sum()
        of_one = loss(maml(tasks[0][0]), tasks[0][1])
        return torch.autograd.grad(of_all + of_one, [*model.parameters()])

    expected = gradients()
    for way in ("vectorised", "loop"):
        torch.testing.assert_close(gradients(mixed_mode=True, tasks=way), expected, **CLOSE)


@pytest.mark.parametrize("net", [dropping, Checkpointed])
def test_random_numbers_are_drawn_again_as_they_were(net: type[nn.Module]) -> None:
    given = problem(net())

    assert_as_unrolled(given)
    loss = given.meta_loss(mixed)
    before = torch.get_rng_state()
    loss.backward()
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_weights_that_a_loss_does_not_read() -> None:
    given = problem("mlp")

    def begin() -> Start:
        step, start = given.begin()

        def loss(weights: list[Tensor], buffers: Buffers) -> tuple[Tensor, Buffers]:
            return step.loss([weights[0], start[1], *weights[2:]], buffers)

        return replace(step, loss=loss), start

    assert_as_unrolled(Problem(given.inputs, begin))


def test_first_order_needs_no_mixed_mode() -> None:
    given = problem("mlp")

    def begin() -> Start:
        step, start = given.begin()
        return replace(step, keeps_graph=False), start

    assert_as_unrolled(Problem(given.inputs, begin))


def test_a_graph_that_is_kept_can_be_gone_through_again() -> None:
    given = problem("mlp")
    loss, inputs = given.meta_loss(mixed), [*given.inputs.values()]

    once = torch.autograd.grad(loss, inputs, retain_graph=True)
    again = torch.autograd.grad(loss, inputs)

    torch.testing.assert_close(again, once, rtol=0, atol=0)


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def test_a_third_derivative() -> None:
    given = problem("mlp")
    loss = given.meta_loss(mixed)

    with pytest.raises(MixedModeError, match=r"stops at second derivatives.*checkpoint=True"):
        torch.autograd.grad(loss, [*given.inputs.values()], create_graph=True)


@pytest.mark.parametrize("changed", ["data", "frozen weight", "mask", "in a closure"])
def test_what_is_changed_before_the_backward_pass(changed: str) -> None:
    model = NETS["mlp"]()
    model.register_buffer("mask", torch.rand(4))
    model.register_parameter("scale", nn.Parameter(torch.rand(4), requires_grad=False))
    support, query = stacked(draw_tasks())
    in_training, in_judging = torch.rand(2, 4)

    def loss(model: nn.Module, data: tuple[Tensor, Tensor]) -> Tensor:
        closed = in_training if data[0].shape == support[0].shape[1:] else in_judging
        return F.cross_entropy(model(data[0] * closed) * model.mask + model.scale, data[1])

    found = MAML(model, 2, 2, 0.3, loss, mixed_mode=True).task_losses(support, query).sum()
    tensors = {"data": support[0], "frozen weight": model.scale, "mask": model.mask}
    tensors["in a closure"] = in_training
    tensors[changed].mul_(2)

    with pytest.raises(MixedModeError, match=r"changed in place since\. Change a copy of it"):
        found.backward()


class Counting(nn.Sequential):
    """Counts its calls."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(input)


def test_what_a_call_writes_may_be_written_meanwhile() -> None:
    model = Counting(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 4))
    support, query = stacked(draw_tasks())

    def gradients(**way: bool) -> tuple[Tensor, ...]:
        found = MAML(model, 2, 2, 0.3, classification, **way).task_losses(support, query).sum()
        model(torch.randn(3, 4))
        return torch.autograd.grad(found, [*model.parameters()])

    torch.testing.assert_close(gradients(mixed_mode=True), gradients(), **CLOSE)


class OnlyBackward(torch.autograd.Function):
    """A sine without a rule for forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0].cos()


class Sine(nn.Module):
    """Such a sine as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return OnlyBackward.apply(x)


def test_an_operation_without_a_rule_for_forward_mode() -> None:
    given = problem(nn.Sequential(nn.Linear(4, 5), Sine(), nn.Linear(5, 4)))
    loss = given.meta_loss(mixed)

    with pytest.raises(MixedModeError, match=r"has no rule for that \(You must implement the jvp"):
        loss.backward()


def test_a_loss_of_no_weight() -> None:
    given = problem("mlp")

    def begin() -> Start:
        step, start = given.begin()
        return replace(step, loss=lambda _, buffers: (torch.rand(()), buffers)), start

    with pytest.raises(ArgumentError, match=r"depends on no weight that adapts"):
        Problem(given.inputs, begin).meta_loss(mixed)


def test_inside_a_transform() -> None:
    given = problem("mlp")

    def inside(taking: Taking) -> Tensor:
        return torch.func.grad(lambda x: given.meta_loss(taking) + x)(torch.tensor(0.0))

    with pytest.raises(MixedModeError, match=r"a transform of torch.func, which cannot follow it"):
        inside(mixed)


def test_in_forward_mode() -> None:
    given = problem("mlp")

    with forward_ad.dual_level(), pytest.raises(MixedModeError, match=r"forward mode or a trans"):
        given.meta_loss(mixed)

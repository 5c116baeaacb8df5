"""Steps that are computed again in the backward pass have the gradients of steps that are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from few_shot_cases import NETS, Data, Task, classification, draw_tasks, dropping, stacked
from inner_steps import OPTIMIZERS, Problem, Start, problem
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from metann import optim
from metann.batching import How
from metann.errors import LoopWarning, RecomputingError
from metann.meta import MAML, Fast, InnerStep
from metann.meta.inner_loop import Taking, unrolled
from metann.meta.recomputing import recomputed
from metann.meta.steps import Buffers

# torch uses it itself, the first time that it differentiates in forward mode.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def assert_as_unrolled(given: Problem) -> None:
    torch.testing.assert_close(given.gradients(recomputed), given.expected(), **CLOSE)


# ── gradients ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("of_results", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_gradients_reach_all_that_a_step_reads(net: str, optimizer: str, of_results: bool) -> None:
    given = problem(net, optimizer, of_results=of_results)

    assert_as_unrolled(given)
    assert all(gradient.any() for gradient in given.expected().values())


def test_gradients_of_first_order() -> None:
    given = problem("mlp")

    def begin() -> Start:
        step, start = given.begin()
        return replace(step, keeps_graph=False), start

    assert_as_unrolled(Problem(given.inputs, begin))


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
@pytest.mark.parametrize("net", NETS)
def test_all_tasks_at_once(net: str, tasks: str) -> None:
    model, (support, query) = NETS[net](), stacked(draw_tasks())

    def gradients(**settings: bool) -> tuple[Tensor, ...]:
        maml = MAML(model, 3, 3, 0.3, classification, tasks=tasks, **settings)
        return torch.autograd.grad(maml.task_losses(support, query).sum(), [*model.parameters()])

    torch.testing.assert_close(gradients(checkpoint=True), gradients(), **CLOSE)


def test_third_derivatives() -> None:
    given = problem("convolution", "Adam")

    def second(taking: Taking) -> list[Tensor]:
        inputs = [*given.inputs.values()]
        loss = given.meta_loss(taking, steps=2)
        first = torch.autograd.grad(loss, inputs, create_graph=True)
        return [*torch.autograd.grad(sum(g.sin().sum() for g in first), inputs)]

    torch.testing.assert_close(second(recomputed), second(unrolled), **CLOSE)


def test_a_graph_that_is_kept_can_be_gone_through_again_and_in_parts() -> None:
    given = problem("mlp")
    expected, loss = given.expected(), given.meta_loss(recomputed)

    for name, leaf in given.inputs.items():
        (found,) = torch.autograd.grad(loss, leaf, retain_graph=True)
        torch.testing.assert_close(found, expected[name], **CLOSE)
    (found,) = torch.autograd.grad(loss, given.inputs["x"])
    torch.testing.assert_close(found, expected["x"], **CLOSE)


@pytest.mark.parametrize("way", [{}, {"checkpoint": True}, {"mixed_mode": True}])
@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
def test_an_evaluator_reads_the_parameters_beside_the_weights_that_they_became(
    tasks: How, way: dict[str, bool]
) -> None:
    model, (support, query) = NETS["mlp"](), stacked(draw_tasks())
    names = [name for name, _ in model.named_parameters()]

    def evaluator(adapted: nn.Module, data: Data) -> Tensor:
        pairs = zip(adapted.parameters(), model.parameters(), strict=True)
        return classification(adapted, data) + sum((now * then).sum() for now, then in pairs)

    maml = MAML(model, 2, 2, 0.3, evaluator, tasks=tasks, **way)
    found = torch.autograd.grad(maml.task_losses(support, query).sum(), [*model.parameters()])

    def adapted_loss(task: Task) -> Tensor:
        start = dict(model.named_parameters())
        weights = {name: start[name] * 1.0 for name in names}
        for data in (task[0], task[0], task[1]):
            penalty = sum((weights[name] * start[name]).sum() for name in names)
            loss = F.cross_entropy(functional_call(model, weights, data[0]), data[1]) + penalty
            slopes = torch.autograd.grad(loss, [*weights.values()], create_graph=True)
            slope = dict(zip(names, slopes, strict=True))
            weights = {name: weights[name] - 0.3 * slope[name] for name in names}
        return loss

    losses = torch.stack([adapted_loss(task) for task in draw_tasks()])
    expected = torch.autograd.grad(losses.sum(), [*model.parameters()])
    torch.testing.assert_close(found, expected, **CLOSE)


def test_a_step_reads_a_weight_beside_what_it_is_given() -> None:
    """Its own gradient is by the one alone, also where both are the same tensor."""
    weight, factor = (torch.randn(3, requires_grad=True) for _ in range(2))

    def step(given: Tensor, read: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad((given * read).sum(), given, create_graph=True)
        return given - slope * factor

    found = recomputed(lambda given: step(given, weight), weight)
    expected = step(weight.view_as(weight), weight)

    for result in (found, expected):
        result.square().sum().backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(weight.grad, 4 * (1 - factor).square().detach() * weight.detach())


# ── what surrounds a step ────────────────────────────────────────────────────────────────────


def test_dropout_drops_the_same_again_and_the_generator_goes_on_as_if_nothing_had_been() -> None:
    given = problem(dropping())

    assert_as_unrolled(given)
    loss = given.meta_loss(recomputed)
    before = torch.get_rng_state()
    loss.backward()
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_the_backward_pass_is_in_the_autocast_of_the_forward_pass() -> None:
    torch.set_default_dtype(torch.float32)  # Autocast leaves float64 as it is.
    given = problem("mlp")

    def gradients(taking: Taking) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", torch.bfloat16):
            loss = given.meta_loss(taking)
        return torch.autograd.grad(loss, [*given.inputs.values()])

    torch.testing.assert_close(gradients(recomputed), gradients(unrolled), rtol=0, atol=0)


class Checkpointed(nn.Module):
    """Computes its hidden layer again in every backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 4)
        self.hidden = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 5), nn.Tanh(), nn.Dropout(0.3))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(checkpoint(self.hidden, self.first(x), use_reentrant=False))


def test_activation_checkpointing_inside_of_the_model() -> None:
    assert_as_unrolled(problem(Checkpointed()))


def test_a_loop_inside_of_a_loop() -> None:
    inner, outer = problem("mlp"), problem("mlp")

    def nested(taking: Taking) -> dict[str, Tensor]:
        within, step, start = inner.begin()[0], *outer.begin()

        def loss(weights: list[Tensor], buffers: Buffers) -> tuple[Tensor, Buffers]:
            fast = Fast([weight[0:] for weight in weights], within.optimizer.init(weights), {})
            for _ in range(2):
                fast, _ = taking(within, fast)
            return step.loss(fast.weights, buffers)

        inputs = outer.inputs | {"inner x": inner.inputs["x"]}
        return Problem(inputs, lambda: (replace(step, loss=loss), start)).gradients(taking, 2)

    torch.testing.assert_close(nested(recomputed), nested(unrolled), **CLOSE)


def test_running_statistics_are_counted_once() -> None:
    model, [(support, _), *_] = NETS["convolution"](), draw_tasks()

    maml = MAML(model, 3, 3, 0.3, classification, checkpoint=True)
    adapted = maml(support)
    classification(adapted, support).backward()

    seen = model[2].num_batches_tracked + 3
    assert adapted[2].num_batches_tracked == seen + 1  # the call above
    assert model[2].num_batches_tracked == seen - 3


def test_a_step_is_called_once_forward_and_once_backward() -> None:
    given, calls = problem("mlp"), []

    def counted(step: InnerStep, fast: Fast) -> tuple[Fast, Tensor]:
        def called(fast: Fast) -> tuple[Fast, Tensor]:
            calls.append(fast.state.count)
            return step(fast)

        return recomputed(called, fast)

    loss = given.meta_loss(counted)
    assert calls == [0, 1, 2]
    loss.backward()
    assert calls == [0, 1, 2, 2, 1, 0]


def test_without_gradients_nothing_is_marked() -> None:
    x = torch.randn(3, requires_grad=True)

    with torch.no_grad():
        assert not recomputed(torch.sin, x).requires_grad


def test_an_attempt_that_fails_the_first_time_only_leaves_no_trace() -> None:
    given, attempts = problem("mlp"), []

    def begin() -> Start:
        step, start = given.begin()

        def loss(weights: list[Tensor], buffers: Buffers) -> tuple[Tensor, Buffers]:
            if not attempts:
                attempts.append(weights[-1].exp().sin().sum().item())
            return step.loss(weights, buffers)

        return replace(step, loss=loss), start

    found = Problem(given.inputs, begin).gradients(recomputed)

    torch.testing.assert_close(found, given.expected(), **CLOSE)
    assert len(attempts) == 1


@pytest.mark.parametrize("way", [{"checkpoint": True}, {"mixed_mode": True}])
def test_a_step_in_one_pass_stays_so_when_a_later_loss_has_turned_to_a_loop(
    way: dict[str, bool],
) -> None:
    model, (support, query) = dropping(), stacked(draw_tasks())
    first = len(support[0][0])
    query = tuple(torch.cat([part, part], dim=1) for part in query)

    def evaluator(adapted: nn.Module, data: Data) -> Tensor:
        loss = classification(adapted, data)
        if len(data[0]) > first:
            loss.item()  # which cannot be batched
        return loss

    def gradients(**settings: bool) -> tuple[Tensor, ...]:
        torch.manual_seed(3)
        maml = MAML(model, 2, 2, 0.3, evaluator, **settings)
        with pytest.warns(LoopWarning, match=r"cannot be batched"):
            losses = maml.task_losses(support, query)
        return torch.autograd.grad(losses.sum(), [*model.parameters()])

    torch.testing.assert_close(gradients(**way), gradients(), **CLOSE)


@pytest.mark.parametrize("way", [{"checkpoint": True}, {"mixed_mode": True}])
def test_the_first_backward_pass_after_a_refusal_to_batch(way: dict[str, bool]) -> None:
    model, (support, query) = NETS["mlp"](), stacked(draw_tasks())

    def evaluator(adapted: nn.Module, data: Data) -> Tensor:
        loss = classification(adapted, data)
        loss.item()  # which cannot be batched
        return loss

    def gradients(**settings: bool) -> tuple[Tensor, ...]:
        maml = MAML(model, 2, 2, 0.3, evaluator, **settings)
        with pytest.warns(LoopWarning, match=r"but .*<locals>.evaluator cannot be batched"):
            losses = maml.task_losses(support, query)
        return torch.autograd.grad(losses.sum(), [*model.parameters()])

    torch.testing.assert_close(gradients(**way), gradients(), **CLOSE)


@pytest.mark.parametrize("way", [{}, {"checkpoint": True}, {"mixed_mode": True}])
def test_an_optimiser_that_cannot_be_batched(way: dict[str, bool]) -> None:
    model, (support, query) = NETS["mlp"](), stacked(draw_tasks())

    def clipped(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        norm = torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt()
        return [g / norm if g is not None and norm > 0.5 else g for g in gradients]

    def gradients(**settings: Any) -> tuple[Tensor, ...]:
        optimizer = optim.transformed(optim.SGD(0.3), clipped)
        maml = MAML(model, 3, 3, None, classification, optimizer=optimizer, **settings)
        return torch.autograd.grad(maml.task_losses(support, query).sum(), [*model.parameters()])

    with pytest.warns(LoopWarning, match=r"EachTask.step.* cannot be batched"):
        found = gradients(**way)

    torch.testing.assert_close(found, gradients(tasks="loop"), **CLOSE)


def test_a_long_chain_of_steps_is_freed() -> None:
    def step(x: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(x.sin().sum(), x, create_graph=True)
        return x - 0.01 * slope

    x = torch.randn(2, requires_grad=True)
    for _ in range(3000):
        x = recomputed(step, x)

    assert x.isfinite().all()


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def test_weights_that_change_before_the_backward_pass() -> None:
    given = problem("mlp")
    loss = given.meta_loss(recomputed, steps=1)
    with torch.no_grad():
        given.inputs["0.bias"].mul_(2)

    with pytest.raises(RecomputingError, match=r"not as before: the weights that it started from"):
        loss.backward()


def test_data_that_changes_before_the_backward_pass() -> None:
    x = torch.randn(3)

    def step(weight: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad((weight * x).sin().sum(), weight, create_graph=True)
        return weight - slope

    result = recomputed(step, torch.randn(3, requires_grad=True)).sum()
    x.add_(1)

    with pytest.raises(RecomputingError, match=r"shape \(3,\).*changed 1 times in place was saved"):
        result.backward()


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (lambda x: x.sin(), r"not as before: 1 tensors were saved, not 2"),
        (lambda x: x.sin()[:2].cos(), r"a tensor of shape \(2,\), torch.float64, on cpu was saved"),
    ],
)
def test_a_step_that_does_something_else_the_second_time(
    then: Callable[[Tensor], Tensor], message: str
) -> None:
    doing = iter([lambda x: x.sin().cos(), then])
    result = recomputed(lambda x: next(doing)(x), torch.randn(3, requires_grad=True))

    with pytest.raises(RecomputingError, match=message):
        result.sum().backward()


def test_a_tensor_that_a_step_changes_in_place_after_it_was_saved() -> None:
    def step(x: Tensor) -> Tensor:
        doubled = x * 2
        sine = doubled.sin()
        doubled.add_(1)
        return torch.autograd.grad(sine.sum(), x, create_graph=True)[0]

    with pytest.raises(RecomputingError, match=r"changed in place since, of shape \(3,\)"):
        recomputed(step, torch.randn(3, requires_grad=True))


@pytest.mark.parametrize(
    "transform",
    [
        lambda function, x: torch.func.grad(lambda x: function(x).sum())(x),
        lambda function, x: torch.vmap(function)(x),
    ],
    ids=["grad", "vmap"],
)
def test_inside_a_transform(transform: Callable[..., object]) -> None:
    with pytest.raises(RecomputingError, match=r"inside a transform of torch.func"):
        transform(lambda x: recomputed(torch.sin, x), torch.randn(3))


def test_in_forward_mode() -> None:
    with forward_ad.dual_level(), pytest.raises(RecomputingError, match=r"or in forward mode"):
        recomputed(torch.sin, torch.randn(3))

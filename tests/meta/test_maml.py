"""MAML and its first-order form come to what their papers say, task by task and all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import references
import torch
from few_shot_cases import NETS, Data, Task, classification, draw_tasks, dropping, stacked
from references import Named, constant
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from metann.meta import MAML

RATE = 0.3
CLOSE = {"rtol": 1e-8, "atol": 1e-10}


@contextmanager
def with_second_derivatives() -> Iterator[None]:
    """Torch alone differentiates attention twice only in its plain form."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def gradients_of(model: nn.Module) -> Named:
    """What backward() has left, and leaves none behind."""
    found = {
        n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()
    }
    model.zero_grad()
    return found


def one_by_one(maml: MAML, tasks: list[Task]) -> list[Tensor]:
    """The losses of the tasks by an adapted model each."""
    return [classification(maml(support), query) for support, query in tasks]


# ── the losses and the meta-gradient ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("net", NETS)
def test_all_tasks_in_one_pass(net: str, steps: int) -> None:
    model, tasks = NETS[net](), draw_tasks()
    with with_second_derivatives():
        expected = references.maml(model, tasks, classification, constant(model, steps, RATE))

    losses = MAML(model, steps, steps, RATE, classification).task_losses(*stacked(tasks))
    losses.sum().backward()

    torch.testing.assert_close([*losses.detach()], expected.losses, **CLOSE)
    torch.testing.assert_close(gradients_of(model), expected.by_weight, **CLOSE)


@pytest.mark.parametrize("net", NETS)
def test_one_task_after_the_other(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    with with_second_derivatives():
        expected = references.maml(model, tasks, classification, constant(model, 3, RATE))

    losses = one_by_one(MAML(model, 3, 3, RATE, classification), tasks)
    torch.stack(losses).sum().backward()

    torch.testing.assert_close([loss.detach() for loss in losses], expected.losses, **CLOSE)
    torch.testing.assert_close(gradients_of(model), expected.by_weight, **CLOSE)


@pytest.mark.parametrize("net", NETS)
def test_T21_first_order(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    expected = references.fomaml(model, tasks, classification, 3, RATE)
    fomaml = MAML(model, 3, 3, RATE, classification, first_order=True)

    fomaml.task_losses(*stacked(tasks)).sum().backward()
    at_once = gradients_of(model)
    torch.stack(one_by_one(fomaml, tasks)).sum().backward()

    torch.testing.assert_close(at_once, expected.by_weight, **CLOSE)
    torch.testing.assert_close(gradients_of(model), expected.by_weight, **CLOSE)


def test_first_and_second_order_differ() -> None:
    model, tasks = NETS["mlp"](), draw_tasks()

    MAML(model, 3, 3, RATE, classification).task_losses(*stacked(tasks)).sum().backward()
    second = gradients_of(model)
    first = references.fomaml(model, tasks, classification, 3, RATE).by_weight

    assert all((first[name] - slope).abs().max() > 1e-3 for name, slope in second.items())


# ── how many steps ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("net", ["mlp", "convolution"])
def test_T11_evaluation_takes_its_own_number_of_steps(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    maml = MAML(model, 1, 7, RATE, classification).eval()
    expected = [
        references.in_place(model, support, classification, 7, RATE) for support, _ in tasks
    ]

    for (support, query), trained in zip(tasks, expected, strict=True):
        adapted = maml(support)

        assert not adapted.training
        torch.testing.assert_close(
            classification(adapted, query), classification(trained, query), **CLOSE
        )
    torch.testing.assert_close(
        maml.task_losses(*stacked(tasks)),
        torch.stack([classification(m, q) for m, (_, q) in zip(expected, tasks, strict=True)]),
        **CLOSE,
    )


def test_no_step_is_the_model_itself() -> None:
    model, ((support, query), *_) = NETS["mlp"](), draw_tasks()

    adapted = MAML(model, 0, 0, RATE, classification)(support)

    assert torch.equal(adapted(query[0]), model(query[0]))


def test_T43_a_second_outer_iteration_starts_anew() -> None:
    model, tasks = NETS["mlp"](), draw_tasks()
    maml = MAML(model, 2, 2, RATE, classification)
    optimizer = torch.optim.SGD(maml.parameters(), 0.5)

    for _ in range(2):
        expected = references.maml(model, tasks, classification, constant(model, 2, RATE))
        optimizer.zero_grad()
        losses = maml.task_losses(*stacked(tasks))
        losses.sum().backward()
        torch.testing.assert_close([*losses.detach()], expected.losses, **CLOSE)
        torch.testing.assert_close(gradients_of_kept(model), expected.by_weight, **CLOSE)
        optimizer.step()


def gradients_of_kept(model: nn.Module) -> Named:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


# ── dropout ──────────────────────────────────────────────────────────────────────────────────


def seeded(model: nn.Module, data: Data) -> Tensor:
    """The same mask whenever the same data come."""
    torch.manual_seed(int(data[1].sum()))
    return classification(model, data)


def test_dropout_is_differentiated_through() -> None:
    model, tasks = dropping(), draw_tasks()
    expected = references.maml(model, tasks, seeded, constant(model, 3, RATE))
    maml = MAML(model, 3, 3, RATE, seeded)

    losses = [seeded(maml(support), query) for support, query in tasks]
    torch.stack(losses).sum().backward()

    torch.testing.assert_close([loss.detach() for loss in losses], expected.losses, **CLOSE)
    torch.testing.assert_close(gradients_of(model), expected.by_weight, **CLOSE)


def test_dropout_draws_anew_in_each_step() -> None:
    (support, _), *_ = draw_tasks()

    losses = MAML(dropping(), 4, 4, 0.0, classification).adapt(support).losses

    assert len({loss.item() for loss in losses}) == 4


def test_each_task_has_its_own_dropout() -> None:
    model = dropping()
    task, *_ = draw_tasks(1)
    maml = MAML(model, 1, 1, RATE, classification)

    losses = maml.task_losses(*stacked([task] * 4))

    assert len(set(losses.tolist())) == 4

"""What a step of an inner loop adds to the memory in use, and what a meta-step leaves behind."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from counted_bytes import left_bytes, peak_bytes
from few_shot_cases import Data
from torch import Tensor, nn

from metann import optim
from metann.batching import How
from metann.meta import ANIL, IMAML, MAML, MAMLPlusPlus, MetaSGD

# torch uses it itself, the first time that it differentiates in forward mode.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
TASKS = 3


def evaluator(model: nn.Module, data: Data) -> Tensor:
    return F.cross_entropy(model(data[0]), data[1])


def images() -> Data:
    return torch.randn(TASKS, 6, 1, 8, 8), torch.randint(4, (TASKS, 6))


def net() -> nn.Module:
    """Its activations take more room than its weights do."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(8 * 64, 4),
    )


def size_of(model: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())


# ── a step more ──────────────────────────────────────────────────────────────────────────────


def growth(meta_step: Callable[[int], object]) -> float:
    """By how many bytes the peak of a meta-step grows with each inner step."""
    few, many = peak_bytes(lambda: meta_step(2)), peak_bytes(lambda: meta_step(6))
    return (many - few) / 4


def step_of(model: nn.Module, tasks: How = "vectorised", **settings: bool) -> Callable[[int], None]:
    data, query = images(), images()

    def meta_step(steps: int) -> None:
        maml = MAML(model, steps, steps, 0.1, evaluator, tasks=tasks, **settings)
        torch.autograd.grad(maml.task_losses(data, query).sum(), [*model.parameters()])

    return meta_step


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
@pytest.mark.parametrize("way", ["checkpoint", "mixed_mode"])
def test_a_step_that_is_not_kept_adds_little_more_than_its_weights(way: str, tasks: How) -> None:
    model = net()

    added = growth(step_of(model, tasks, **{way: True}))

    # 1.2 is promised of checkpoint. The statistics of the normalization are little; in mixed mode
    # torch's foreach kernel keeps the gradient.
    allowed = {"checkpoint": 1.02, "mixed_mode": 2.02}[way]
    assert added <= allowed * size_of(model) * TASKS


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
def test_a_step_that_is_kept_adds_its_graph(tasks: How) -> None:
    model = net()

    assert growth(step_of(model, tasks)) > 8 * size_of(model) * TASKS


@pytest.mark.parametrize("tasks", ["vectorised", "loop"])
def test_T21_a_step_of_first_order_adds_no_graph_of_its_loss(tasks: How) -> None:
    model = net()

    # Weights and gradient, which torch's foreach kernel keeps; a plain subtraction would not.
    assert growth(step_of(model, tasks, first_order=True)) <= 2.02 * size_of(model) * TASKS


@pytest.mark.parametrize("way", ["checkpoint", "mixed_mode"])
def test_the_state_of_adam_is_kept_beside_the_weights(way: str) -> None:
    model, data, query = net(), images(), images()

    def meta_step(steps: int) -> None:
        adam = optim.Adam(lr=0.01)
        maml = MAML(model, steps, steps, None, evaluator, optimizer=adam, **{way: True})
        torch.autograd.grad(maml.task_losses(data, query).sum(), [*model.parameters()])

    # Weights and two moments; in mixed mode the gradient, too.
    allowed = {"checkpoint": 3.02, "mixed_mode": 4.02}[way]
    assert growth(meta_step) <= allowed * size_of(model) * TASKS


@pytest.mark.parametrize("way", ["checkpoint", "mixed_mode"])
def test_values_that_a_backward_pass_has_no_use_for_do_not_pile_up(way: str) -> None:
    """Their gradient could be asked for, so they are computed again; but it is not."""
    model, (x, classes), query = net(), images(), images()
    x.requires_grad_()

    def meta_step(steps: int) -> None:
        maml = MAML(model, steps, steps, 0.1, evaluator, **{way: True})
        loss = maml.task_losses((x, classes), query).sum()
        torch.autograd.grad(loss, [*model.parameters()], retain_graph=True)
        torch.autograd.grad(loss, [*model.parameters()])

    assert growth(meta_step) <= 2.1 * size_of(model) * TASKS


# ── many meta-steps ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def _no_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


Made = Callable[[nn.Module], MAML[Data]]
MAKERS: dict[str, Made] = {
    "MAML": lambda model: MAML(model, 2, 2, 0.1, evaluator, buffers="writeback"),
    "one by one": lambda model: MAML(model, 2, 2, 0.1, evaluator, tasks="loop"),
    "FOMAML": lambda model: MAML(model, 2, 2, 0.1, evaluator, first_order=True),
    "checkpoint": lambda model: MAML(model, 2, 2, 0.1, evaluator, checkpoint=True),
    "mixed mode": lambda model: MAML(model, 2, 2, 0.1, evaluator, mixed_mode=True),
    "ANIL": lambda model: ANIL(model, 2, 2, 0.1, evaluator),
    "Meta-SGD": lambda model: MetaSGD(model, 2, 2, 0.1, evaluator),
    "MAML++": lambda model: MAMLPlusPlus(model, 2, 2, 0.1, evaluator),
    "iMAML": lambda model: IMAML(model, 2, 2, 1e-4, evaluator, strength=1e3),
}


@pytest.mark.parametrize("algorithm", MAKERS)
@pytest.mark.usefixtures("_no_gc")
def test_T22_T42_T46_T70_twenty_meta_steps_leave_nothing_behind(algorithm: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5), nn.Linear(5, 4))
    model(images()[0][0])  # Running statistics that have seen data.
    maml = MAKERS[algorithm](model)
    optimizer = torch.optim.Adam(maml.parameters(), 1e-3)

    def meta_step() -> None:
        maml.train().task_losses(images(), images()).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            maml.eval().task_losses(images(), images())

    def twenty() -> None:
        for _ in range(20):
            meta_step()

    meta_step()
    assert left_bytes(twenty) == 0

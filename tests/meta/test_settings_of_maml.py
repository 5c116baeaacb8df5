"""What adapts, by which optimiser, and how the tasks are gone about."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import references
import torch
from few_shot_cases import NETS, Data, Task, classification, deeper, draw_tasks, mlp, stacked
from references import Named, constant
from torch import Tensor, nn
from torch.func import functional_call

from metann import optim
from metann.errors import ArgumentError, BatchingError, SubstitutionError
from metann.meta import ANIL, MAML, MAMLPlusPlus, MetaSGD, Reptile
from metann.meta.settings import Settings

CLOSE: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}


def gradients_of(model: nn.Module) -> dict[str, Tensor | None]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def assert_is(maml: MAML[Any], tasks: list[Task], expected: references.Outcome) -> None:
    """The losses and the meta-gradient are those expected; frozen weights have none."""
    losses = maml.task_losses(*stacked(tasks))
    losses.sum().backward()
    torch.testing.assert_close([*losses.detach()], expected.losses, **CLOSE)
    found = {name: slope for name, slope in gradients_of(maml.model).items() if slope is not None}
    torch.testing.assert_close(found, expected.by_weight, **CLOSE)


# ── what adapts ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["0.weight", "4"], ["0.weight", "4.weight", "4.bias"]),
        (["2"], ["2.weight", "2.bias"]),
        (["4.bias"], ["4.bias"]),
        ("4.bias", ["4.bias"]),
    ],
)
def test_T31_by_names(names: str | list[str], expected: list[str]) -> None:
    """Slow weights are meta-trained all the same."""
    model, tasks = deeper(), draw_tasks()
    rates = constant(model, 3, 0.3, expected)

    assert_is(
        MAML(model, 3, 3, 0.3, classification, names=names),
        tasks,
        references.maml(model, tasks, classification, rates),
    )


def test_T31_by_a_filter_of_modules() -> None:
    model, tasks = NETS["convolution"](), draw_tasks()
    rates = constant(model, 3, 0.3, ["1.weight", "1.bias", "4.weight", "4.bias"])

    assert_is(
        MAML(model, 3, 3, 0.3, classification, clear_filter=lambda m: isinstance(m, nn.Conv2d)),
        tasks,
        references.maml(model, tasks, classification, rates),
    )


def test_T12_a_frozen_parameter_neither_adapts_nor_learns() -> None:
    model, tasks = deeper(), draw_tasks()
    model.get_parameter("2.weight").requires_grad_(False)
    maml = MAML(model, 3, 3, 0.3, classification)

    assert_is(maml, tasks, references.maml(model, tasks, classification, constant(model, 3, 0.3)))
    assert maml(tasks[0][0])[2].weight is model.get_parameter("2.weight")


class WithSpare(nn.Module):
    """A net with a parameter that it never uses."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.spare = mlp(), nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.mark.parametrize("optimizer", [optim.SGD(0.3, momentum=0.9), optim.Adam(0.1)])
def test_T12_T52_an_unused_parameter_stays_as_it_is(optimizer: optim.Optimizer) -> None:
    model, ((support, query), *_) = WithSpare(), draw_tasks()
    maml = MAML(model, 3, 3, None, classification, optimizer=optimizer)

    adapted = maml(support)
    classification(adapted, query).backward()

    assert torch.equal(adapted.spare, model.spare)
    assert {name for name, slope in gradients_of(model).items() if slope is None} <= {"spare"}


def test_T52_an_unused_parameter_has_no_meta_gradient() -> None:
    model, tasks = WithSpare(), draw_tasks()
    expected = references.maml(model, tasks, classification, constant(model, 3, 0.3))

    MAML(model, 3, 3, 0.3, classification).task_losses(*stacked(tasks)).sum().backward()

    found = gradients_of(model)
    spare = found.pop("spare")
    assert spare is None or not spare.any()
    torch.testing.assert_close(
        found, {n: s for n, s in expected.by_weight.items() if n != "spare"}, **CLOSE
    )


def test_a_misspelt_name_is_an_error() -> None:
    maml = MAML(mlp(), 1, 1, 0.1, classification, names=["0.wieght"])

    with pytest.raises(SubstitutionError, match=r"is called '0.wieght'"):
        maml(draw_tasks()[0][0])


def test_a_loss_apart_from_the_model_is_an_error() -> None:
    maml = MAML(mlp(), 1, 1, 0.1, lambda model, data: data[0].square().mean())

    with pytest.raises(ArgumentError, match=r"depends on no weight that adapts"):
        maml(draw_tasks()[0][0])


# ── by which optimiser ───────────────────────────────────────────────────────────────────────


NET = mlp()
BY_TORCH = torch.optim.SGD(NET.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("optimizer", "found"),
    [
        (optim.from_torch(BY_TORCH), "tuple"),
        (BY_TORCH, "SGD"),
        (optim.SGD, "the class SGD"),
        (0.1, "float"),
    ],
)
def test_an_optimizer_that_is_none_of_ours_is_an_error(optimizer: Any, found: str) -> None:
    with pytest.raises(
        ArgumentError, match=rf"must be one of metann\.optim, got {found}\. Give .*from_torch"
    ):
        MAML(NET, 1, 1, None, classification, optimizer=optimizer)


def by_adam(
    model: nn.Module, tasks: list[Task], steps: int, rate: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Adam's update as its paper has it, unrolled under `functional_call`."""
    start = dict(model.named_parameters())
    total = torch.zeros(())
    for support, query in tasks:
        weights = start
        first: Named = {name: torch.zeros_like(w) for name, w in start.items()}
        second: Named = dict(first)
        for step in range(1, steps + 1):
            loss = loss_under(model, weights, support)
            slopes = torch.autograd.grad(loss, [*weights.values()], create_graph=True)
            after: Named = {}
            for (name, weight), slope in zip(weights.items(), slopes, strict=True):
                first[name] = 0.9 * first[name] + 0.1 * slope
                second[name] = 0.999 * second[name] + 0.001 * slope**2
                mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
                after[name] = weight - rate * mean / (square.sqrt() + 1e-8)
            weights = after
        total = total + loss_under(model, weights, query)
    found = torch.autograd.grad(total, [rate, *start.values()])
    return total.detach(), dict(zip(["rate", *start], found, strict=True))


def loss_under(model: nn.Module, weights: Named, data: Data) -> Tensor:
    return nn.functional.cross_entropy(functional_call(model, weights, (data[0],)), data[1])


def test_T53_adam_with_a_learned_rate() -> None:
    model, tasks, rate = mlp(), draw_tasks(), nn.Parameter(torch.tensor(0.05))
    total, expected = by_adam(model, tasks, 3, rate)
    maml = MAML(model, 3, 3, None, classification, optimizer=optim.Adam(rate))

    losses = maml.task_losses(*stacked(tasks))
    losses.sum().backward()

    torch.testing.assert_close(losses.sum().detach(), total, **CLOSE)
    found = {"rate": rate.grad, **gradients_of(model)}
    torch.testing.assert_close(found, expected, **CLOSE)
    assert any(parameter is rate for parameter in maml.parameters())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (optim.SGD(0.2, momentum=0.9, nesterov=True), (torch.optim.SGD, 0.2, "nesterov")),
        (optim.AdamW(0.1), (torch.optim.AdamW, 0.1, "")),
    ],
)
def test_T53_torchs_optimizers_come_to_the_same_weights(ours: Any, theirs: Any) -> None:
    model, ((support, _), *_) = mlp(), draw_tasks()
    cls, rate, nesterov = theirs
    trained = copy.deepcopy(model)
    settings = {"momentum": 0.9, "nesterov": True} if nesterov else {}
    optimizer = cls(trained.parameters(), rate, **settings)
    for _ in range(4):
        optimizer.zero_grad()
        classification(trained, support).backward()
        optimizer.step()

    adapted = MAML(model, 4, 4, None, classification, optimizer=ours)(support)

    torch.testing.assert_close(
        [*adapted.dependents()], [p.detach() for p in trained.parameters()], **CLOSE
    )


@dataclass(frozen=True, eq=False)
class Normalized(optim.Optimizer):
    """Steps of one length whatever the gradient: it looks at all elements of a parameter."""

    is_elementwise: ClassVar[bool] = False

    lr: optim.Hyper

    def init(self, params: Sequence[Tensor]) -> optim.State:
        return optim.State(0, (0,) * len(params), {})

    def step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: optim.State
    ) -> tuple[list[Tensor], optim.State]:
        after = [
            p if g is None else p - self.lr * g / g.norm()
            for p, g in zip(params, grads, strict=True)
        ]
        return after, state._replace(count=state.count + 1)


def test_T32_an_optimizer_of_ones_own() -> None:
    model, tasks, rate = mlp(), draw_tasks(), nn.Parameter(torch.tensor(0.2))
    start = dict(model.named_parameters())
    total = torch.zeros(())
    for support, query in tasks:
        weights = start
        for _ in range(3):
            loss = loss_under(model, weights, support)
            slopes = torch.autograd.grad(loss, [*weights.values()], create_graph=True)
            moved = zip(weights.items(), slopes, strict=True)
            weights = {name: weight - rate * s / s.norm() for (name, weight), s in moved}
        total = total + loss_under(model, weights, query)
    expected = torch.autograd.grad(total, [rate, *start.values()])

    for tasks_how in ("vectorised", "loop"):
        maml = MAML(model, 3, 3, None, classification, optimizer=Normalized(rate), tasks=tasks_how)
        losses = maml.task_losses(*stacked(tasks))
        found = torch.autograd.grad(losses.sum(), [rate, *model.parameters()])

        torch.testing.assert_close(losses.sum(), total, **CLOSE)
        torch.testing.assert_close(found, expected, **CLOSE)
        assert any(parameter is rate for parameter in maml.parameters())


def test_a_learned_rate_is_part_of_the_state_and_of_a_copy() -> None:
    rate = nn.Parameter(torch.tensor(0.3))
    maml = MAML(mlp(), 2, 2, rate, classification)
    support, query = stacked(draw_tasks())

    for copied in (copy.deepcopy(maml), pickle.loads(pickle.dumps(maml))):
        copied.task_losses(support, query).sum().backward()
        (learned,) = copied.hyper_parameters.values()
        assert learned.grad is not None
        assert learned.grad != 0

    assert rate.grad is None
    assert [name for name in maml.state_dict() if not name.startswith("model.")] == [
        "hyper_parameters.lr"
    ]


# ── all at once, or one by one ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("net", NETS)
def test_both_ways_over_the_tasks_give_the_same(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks(4)
    found: list[Any] = []
    for how in ("vectorised", "loop"):
        model.zero_grad()
        losses = MAML(model, 3, 3, 0.3, classification, tasks=how).task_losses(*stacked(tasks))
        losses.sum().backward()
        found.append((losses.detach(), gradients_of(model)))

    torch.testing.assert_close(found[0], found[1], **CLOSE)


# ── the relatives ────────────────────────────────────────────────────────────────────────────


def test_what_the_relatives_pass_on_are_arguments_of_maml() -> None:
    of_maml = inspect.signature(MAML.__init__).parameters
    keywords = {name for name, p in of_maml.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}

    assert {*Settings.__annotations__} == keywords - {"optimizer"}


@pytest.mark.parametrize("relative", [ANIL, MetaSGD, MAMLPlusPlus, Reptile])
def test_the_first_arguments_are_those_of_maml(relative: type[MAML[Any]]) -> None:
    shared = ["self", "model", "steps_train", "steps_eval", "lr", "evaluator"]

    assert [*inspect.signature(relative.__init__).parameters][:6] == shared


@pytest.mark.parametrize("relative", [ANIL, MetaSGD, MAMLPlusPlus, Reptile])
def test_relatives_take_their_settings(relative: Any) -> None:
    model, tasks = deeper(), draw_tasks()
    maml = relative(
        model,
        1,
        2,
        0.1,
        classification,
        clear_filter=lambda m: isinstance(m, nn.Linear),
        tasks="loop",
    ).eval()

    assert maml.task_losses(*stacked(tasks)).shape == (3,)
    assert maml.way.how == "loop"


# Torch's own forward mode uses what it deprecates, once in a process.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("setting", ["checkpoint", "mixed_mode"])
@pytest.mark.parametrize("relative", [ANIL, MetaSGD, MAMLPlusPlus])
@pytest.mark.parametrize("net", ["mlp", "convolution"])
def test_the_way_a_step_is_differentiated_changes_nothing_in_relatives(
    net: str, relative: Any, setting: str
) -> None:
    model, tasks = NETS[net](), draw_tasks()
    found: list[Any] = []
    for chosen in ({}, {setting: True}):
        model.zero_grad()
        maml = relative(model, 3, 3, 0.3, classification, **chosen)
        losses = maml.task_losses(*stacked(tasks))
        losses.sum().backward()
        gradients = [p.grad for p in maml.parameters()]
        found.append((losses.detach(), gradients, dict(maml.named_buffers())))

    torch.testing.assert_close(found[0], found[1], **CLOSE)


def test_support_and_query_sets_are_of_the_same_tasks() -> None:
    maml, x = MAML(nn.Linear(4, 2), 1, 1, 0.1, squared), torch.randn(3, 5, 4)

    with pytest.raises(BatchingError, match=r"support sets of 3 tasks and the query sets of 2\."):
        maml.task_losses(x, x[:2])


@pytest.mark.parametrize("steps", [-1, 1.5, True])
def test_a_number_of_steps_is_a_number(steps: object) -> None:
    maml, support = MAML(nn.Linear(4, 2), 1, 1, 0.1, squared), torch.randn(3, 5, 4)

    for call in (
        lambda: maml.adapt(support, steps),
        lambda: maml.task_losses(support, support, steps),
    ):
        with pytest.raises(ArgumentError, match=r"steps must be a number of steps, got"):
            call()


def test_a_step_is_computed_again_in_one_way() -> None:
    with pytest.raises(
        ArgumentError, match=r"got checkpoint=True and mixed_mode=True\. Choose one"
    ):
        MAML(nn.Linear(4, 2), 1, 1, 0.1, squared, checkpoint=True, mixed_mode=True)


def test_inference_mode_is_answered_with_no_grad() -> None:
    maml, support = MAML(nn.Linear(4, 2), 1, 1, 0.1, squared), torch.randn(5, 4)

    with torch.inference_mode(), pytest.raises(ArgumentError, match=r"Use torch\.no_grad\(\)"):
        maml(support)


def squared(model: nn.Module, x: Tensor) -> Tensor:
    return model(x).square().mean()

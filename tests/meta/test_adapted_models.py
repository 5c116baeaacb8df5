"""The adapted model is a module of its own, and nothing else is touched."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import references
import torch
from few_shot_cases import NETS, Data, Tied, classification, convolution, draw_tasks, mlp, stacked
from torch import Tensor, nn

from metann.meta import MAML

CLOSE: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}


def maml_of(model: nn.Module, steps: int = 3, **settings: Any) -> MAML[Any]:
    return MAML(model, steps, steps, 0.3, classification, **settings)


def adapted_to(model: nn.Module, data: Data, steps: int = 3) -> nn.Module:
    return references.in_place(model, data, classification, steps, 0.3)


# ── a real module ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("net", NETS)
def test_T56_its_state_loads_into_the_bare_model(net: str) -> None:
    model, ((support, query), *_) = NETS[net](), draw_tasks()
    adapted = maml_of(model)(support)
    bare = NETS[net]()

    bare.load_state_dict(adapted.state_dict())

    expected = adapted_to(model, support)
    torch.testing.assert_close(dict(bare.state_dict()), dict(expected.state_dict()), **CLOSE)
    torch.testing.assert_close(bare(query[0]), adapted(query[0]))


def test_T33_its_parts_can_be_called_and_carry_the_gradient() -> None:
    model, ((support, query), *_) = mlp(), draw_tasks()
    adapted = maml_of(model)(support)
    expected = adapted_to(model, support)
    assert isinstance(expected, nn.Sequential)

    hidden = adapted[1](adapted[0](query[0]))
    hidden.sum().backward()

    torch.testing.assert_close(hidden, expected[1](expected[0](query[0])), **CLOSE)
    assert model.get_parameter("0.weight").grad is not None
    assert isinstance(adapted[0], nn.Linear)
    assert isinstance(adapted, nn.Sequential)


def test_T02_two_adapted_models_share_nothing() -> None:
    model, tasks = convolution(), draw_tasks(2)
    maml = maml_of(model)
    first = maml(tasks[0][0])
    before = classification(first, tasks[0][1]).detach()

    second = maml(tasks[1][0])
    classification(second, tasks[1][1])

    expected = [adapted_to(model, support) for support, _ in tasks]
    torch.testing.assert_close(classification(first, tasks[0][1]).detach(), before, rtol=0, atol=0)
    torch.testing.assert_close(before, classification(expected[0], tasks[0][1]).detach(), **CLOSE)
    assert not {id(b) for b in first.buffers()} & {id(b) for b in second.buffers()}


def test_its_losses_before_each_step_can_be_read() -> None:
    model, ((support, _), *_) = mlp(), draw_tasks()
    expected = [
        classification(adapted_to(model, support, steps), support).detach() for steps in range(3)
    ]
    maml = maml_of(model)

    torch.testing.assert_close([*maml.adapt(support).losses], expected, **CLOSE)
    torch.testing.assert_close([*maml(support).inner_losses], expected, **CLOSE)
    assert maml.adapt(support).losses.grad_fn is None


def test_losses_after_each_step_are_those_of_models_trained_so_far() -> None:
    model, tasks = mlp(), draw_tasks()
    expected = torch.stack(
        [
            torch.stack([classification(adapted_to(model, s, steps), q).detach() for s, q in tasks])
            for steps in range(4)
        ],
        dim=1,
    )

    torch.testing.assert_close(
        maml_of(model).losses_by_step(*stacked(tasks)).detach(), expected, **CLOSE
    )


def test_T40_tied_weights_stay_tied() -> None:
    (support, _), *_ = draw_tasks()

    adapted = maml_of(Tied())(support)

    assert adapted.reading.weight is adapted.writing.weight


# ── nothing else is touched ──────────────────────────────────────────────────────────────────


def everything_in(model: nn.Module) -> dict[str, Any]:
    """Values and identities of the tensors of a model, its modes and its gradients."""
    tensors = model.state_dict(keep_vars=True)
    return {
        "values": {name: tensor.tolist() for name, tensor in tensors.items()},
        "identities": {name: id(tensor) for name, tensor in tensors.items()},
        "gradients": [parameter.grad for parameter in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "classes": [type(module) for module in model.modules()],
    }


@pytest.mark.parametrize("net", NETS)
def test_T41_the_model_is_never_changed(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    maml, before = maml_of(model), everything_in(model)

    maml(tasks[0][0])
    maml.task_losses(*stacked(tasks))
    assert everything_in(model) == before

    maml.eval()(tasks[0][0])
    maml.train()
    assert everything_in(model) == before


@pytest.mark.parametrize("at_once", [False, True])
def test_T41_an_exception_in_the_loop_leaves_all_as_it_was(at_once: bool) -> None:
    model, tasks = convolution(), draw_tasks()
    failing = [False]

    def evaluator(net: nn.Module, data: Data) -> Tensor:
        loss = classification(net, data)
        if failing[0]:
            raise ArithmeticError("in the evaluator")
        failing[0] = True
        return loss

    maml, before = MAML(model, 3, 3, 0.3, evaluator), everything_in(model)
    with pytest.raises(ArithmeticError, match=r"in the evaluator"):
        maml.task_losses(*stacked(tasks)) if at_once else maml(tasks[0][0])

    assert everything_in(model) == before
    maml.evaluator = classification
    torch.testing.assert_close(
        maml.task_losses(*stacked(tasks)), maml_of(model).task_losses(*stacked(tasks))
    )


def test_T05_T50_statistics_of_one_task_do_not_reach_another() -> None:
    model, tasks = convolution(), draw_tasks(2)
    maml = maml_of(model)

    first, second = (maml(support) for support, _ in tasks)

    for adapted, (support, _) in zip((first, second), tasks, strict=True):
        expected = dict(adapted_to(model, support).named_buffers())
        torch.testing.assert_close(dict(adapted.named_buffers()), expected, **CLOSE)
    assert int(first[2].num_batches_tracked) == 1 + 3


# ── graphs ───────────────────────────────────────────────────────────────────────────────────


def operations_behind(*tensors: Tensor) -> list[str]:
    """The names of the nodes in the graph of some tensors."""
    waiting = [tensor.grad_fn for tensor in tensors]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return sorted(node.name() for node in seen)


def test_T55_first_order_keeps_no_graph_of_its_steps() -> None:
    model, ((support, _), *_) = mlp(), draw_tasks()

    second = operations_behind(*maml_of(model)(support).dependents())
    first = operations_behind(*maml_of(model, first_order=True)(support).dependents())

    assert {"TanhBackward0", "LogSoftmaxBackward0"} <= set(second)
    assert {name.split("Backward")[0] for name in first} <= {
        "Sub",
        "Mul",
        "Add",
        "View",  # a parameter as a fast weight
        "torch::autograd::AccumulateGrad",
    }


def test_T55_first_order_of_many_tasks_keeps_only_the_graph_of_the_last_loss() -> None:
    model, tasks = mlp(), draw_tasks()
    counts = {
        steps: operations_behind(
            maml_of(model, steps, first_order=True).task_losses(*stacked(tasks))
        ).count("TanhBackward0")
        for steps in (1, 5)
    }

    assert counts == {1: 1, 5: 1}


def test_T42_without_gradients_nothing_has_a_graph() -> None:
    model, tasks = convolution(), draw_tasks()
    maml = maml_of(model).eval()

    with torch.no_grad():
        adapted = maml(tasks[0][0])
        losses = maml.task_losses(*stacked(tasks))

    assert operations_behind(*adapted.dependents(), losses) == []
    expected = adapted_to(model.eval(), tasks[0][0])
    torch.testing.assert_close(dict(adapted.state_dict()), dict(expected.state_dict()), **CLOSE)


def tensors_alive() -> int:
    # Not `isinstance`, for which some of torch's deprecated objects warn.
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("tracked", [True, False])
def test_T22_memory_does_not_grow_from_task_to_task(tracked: bool) -> None:
    model, ((support, query), *_) = convolution(), draw_tasks()
    maml = maml_of(model)

    def one_task() -> int:
        with torch.set_grad_enabled(tracked):
            loss = classification(maml(support), query)
            if tracked:
                loss.backward()
            del loss
        return tensors_alive()

    gc.collect()
    gc.disable()
    try:
        counts = [one_task() for _ in range(6)]
    finally:
        gc.enable()

    assert len(set(counts[2:])) == 1


def test_T42_evaluation_of_many_steps_holds_no_more_than_that_of_few() -> None:
    model, ((support, _), *_) = mlp(), draw_tasks()
    most: dict[int, int] = {}

    def counting(net: nn.Module, data: Data) -> Tensor:
        most[steps] = max(most.get(steps, 0), tensors_alive())
        return classification(net, data)

    maml = MAML(model, 1, 1, 0.3, counting).eval()
    for steps in (3, 30):
        with torch.no_grad():
            maml.adapt(support, steps)

    assert most[30] <= most[3] + 30  # A loss is kept for each step.


# ── precision ────────────────────────────────────────────────────────────────────────────────


def test_T29_autocast_reaches_the_steps() -> None:
    model, tasks = mlp().float(), draw_tasks()
    support, query = stacked([((s[0].float(), s[1]), (q[0].float(), q[1])) for s, q in tasks])
    seen: list[torch.dtype] = []

    def watching(net: nn.Module, data: Data) -> Tensor:
        output = net(data[0])
        seen.append(output.dtype)
        return nn.functional.cross_entropy(output.float(), data[1])

    exact = MAML(model, 3, 3, 0.3, watching).task_losses(support, query)
    exact.sum().backward()
    slopes = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    seen.clear()
    with torch.autocast("cpu", torch.bfloat16):
        losses = MAML(model, 3, 3, 0.3, watching).task_losses(support, query)
    losses.sum().backward()

    assert set(seen) == {torch.bfloat16}
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, exact, rtol=0.02, atol=0)
    for parameter, slope in zip(model.parameters(), slopes, strict=True):
        assert parameter.grad is not None
        assert (parameter.grad - slope).norm() < 0.05 * slope.norm()


def test_T29_a_scaled_loss_gives_scaled_gradients() -> None:
    model, tasks = mlp(), draw_tasks()
    maml_of(model).task_losses(*stacked(tasks)).sum().backward()
    expected = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu")

    scaler.scale(maml_of(model).task_losses(*stacked(tasks)).sum()).backward()
    scaler.unscale_(optimizer)

    torch.testing.assert_close([p.grad for p in model.parameters()], expected, **CLOSE)

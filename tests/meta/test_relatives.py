"""ANIL, Meta-SGD and Reptile against references written out plainly."""

from __future__ import annotations

from typing import Any

import pytest
import references
import torch
from few_shot_cases import NETS, Data, classification, deeper, draw_tasks, stacked
from references import Named, constant
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from metann.errors import ArgumentError
from metann.meta import ANIL, MAML, MetaSGD, Reptile

CLOSE: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}


def gradients_of(model: nn.Module) -> Named:
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in model.named_parameters()
    }


# ── ANIL ─────────────────────────────────────────────────────────────────────────────────────

HEADS = {"mlp": "2", "convolution": "7", "tied": "writing", "transformer": "head", "lstm": "head"}
# A tied weight of the head adapts everywhere.
OF_THE_HEAD = {"tied": ["reading.weight", "writing.bias"]}


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("net", NETS)
def test_anil_adapts_the_head_and_meta_trains_all(net: str, first_order: bool) -> None:
    model, tasks = NETS[net](), draw_tasks()
    names = OF_THE_HEAD.get(net, [f"{HEADS[net]}.weight", f"{HEADS[net]}.bias"])
    rates = constant(model, 3, 0.3, names)
    with sdpa_kernel(SDPBackend.MATH):
        expected = references.maml(model, tasks, classification, rates, first_order=first_order)
    anil = ANIL(model, 3, 3, 0.3, classification, first_order)

    losses = anil.task_losses(*stacked(tasks))
    losses.sum().backward()

    assert anil.head == (HEADS[net],)
    torch.testing.assert_close([*losses.detach()], expected.losses, **CLOSE)
    torch.testing.assert_close(gradients_of(model), expected.by_weight, **CLOSE)


def test_several_parts_can_be_the_head() -> None:
    model, ((support, _), *_) = deeper(), draw_tasks()

    adapted = ANIL(model, 1, 1, 0.3, classification, head=["2", "4.bias"])(support)

    moved = [
        name
        for (name, old), new in zip(model.named_parameters(), adapted.dependents(), strict=True)
        if not torch.equal(old, new)
    ]
    assert moved == ["2.weight", "2.bias", "4.bias"]


def test_anil_has_no_names_beside_its_head() -> None:
    with pytest.raises(ArgumentError, match=r"ANIL adapts its head, got names=\['0'\]"):
        ANIL(NETS["mlp"](), 1, 1, 0.1, classification, names=["0"])


def test_a_model_without_parameters_has_no_head() -> None:
    with pytest.raises(ArgumentError, match=r"Sequential has none"):
        ANIL(nn.Sequential(nn.Tanh()), 1, 1, 0.1, classification)


# ── Meta-SGD ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("net", NETS)
def test_meta_sgd_learns_a_step_size_for_every_weight(net: str, steps: int) -> None:
    model, tasks = NETS[net](), draw_tasks()
    meta_sgd = MetaSGD(model, steps, steps, 0.1, classification)
    with torch.no_grad():
        for rate in meta_sgd.rates.values():
            rate.uniform_(-0.1, 0.5)
    rates = [{name: rate.detach() for name, rate in meta_sgd.rates.items()}] * steps
    with sdpa_kernel(SDPBackend.MATH):
        expected = references.maml(model, tasks, classification, rates)
    by_rate: Named = {}
    for by_step in expected.by_rate:
        references.add(by_rate, by_step)

    losses = meta_sgd.task_losses(*stacked(tasks))
    losses.sum().backward()

    torch.testing.assert_close([*losses.detach()], expected.losses, **CLOSE)
    torch.testing.assert_close(gradients_of(model), expected.by_weight, **CLOSE)
    found = {name: rate.grad for name, rate in meta_sgd.rates.items()}
    torch.testing.assert_close(found, by_rate, **CLOSE)


def test_all_step_sizes_begin_with_the_one_given() -> None:
    model, tasks = NETS["mlp"](), draw_tasks()

    meta_sgd = MetaSGD(model, 2, 2, 0.3, classification)

    torch.testing.assert_close(
        meta_sgd.task_losses(*stacked(tasks)),
        MAML(model, 2, 2, 0.3, classification).task_losses(*stacked(tasks)),
        **CLOSE,
    )
    assert len([*meta_sgd.parameters()]) == 2 * len([*model.parameters()])


def test_only_what_adapts_has_step_sizes() -> None:
    model = NETS["mlp"]()
    model[0].weight.requires_grad_(False)  # type: ignore[operator]

    assert [*MetaSGD(model, 1, 1, 0.1, classification).rates] == ["0.bias", "2.weight", "2.bias"]
    assert [*MetaSGD(model, 1, 1, 0.1, classification, names=["2"]).rates] == [
        "2.weight",
        "2.bias",
    ]


# ── Reptile ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("net", NETS)
def test_reptile_goes_towards_the_adapted_weights(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()
    expected = references.reptile(model, [s for s, _ in tasks], classification, 4, 0.3)
    reptile = Reptile(model, 4, 4, 0.3, classification)

    reptile.task_losses(stacked(tasks)[0]).mean().backward()

    torch.testing.assert_close(gradients_of(model), expected, **CLOSE)


def test_a_step_of_torch_is_the_papers_update() -> None:
    model, ((support, _), *_) = NETS["mlp"](), draw_tasks()
    trained = references.in_place(model, support, classification, 5, 0.2)
    expected = [
        p + 0.25 * (t - p) for p, t in zip(model.parameters(), trained.parameters(), strict=True)
    ]
    reptile = Reptile(model, 5, 5, 0.2, classification)

    distance = reptile.task_losses(stacked([(support, support)])[0]).mean()
    distance.backward()
    torch.optim.SGD(reptile.parameters(), 0.25).step()

    torch.testing.assert_close([*model.parameters()], expected, **CLOSE)
    assert distance > 0


@pytest.mark.parametrize("tasks", ["loop", "vectorised"])
def test_each_step_takes_samples_of_its_own(tasks: Any) -> None:
    model, ((support, _),) = NETS["mlp"](), draw_tasks(1, shots=8)
    torch.manual_seed(3)
    draws = [torch.randperm(8)[:2] for _ in range(3)]
    calls = iter(draws)

    def on_the_next_draw(net: nn.Module, data: Data) -> Tensor:
        draw = next(calls)
        return classification(net, (data[0][draw], data[1][draw]))

    expected = references.reptile(model, [support], on_the_next_draw, 3, 0.3)
    reptile = Reptile(model, 3, 3, 0.3, classification, batch_size=2, tasks=tasks)
    torch.manual_seed(3)
    reptile.task_losses(stacked([(support, support)])[0]).sum().backward()

    torch.testing.assert_close(gradients_of(model), expected, **CLOSE)


def test_reptile_evaluates_as_all_others_do() -> None:
    model, tasks = NETS["mlp"](), draw_tasks()

    losses = (
        Reptile(model, 1, 3, 0.3, classification, batch_size=2).eval().task_losses(*stacked(tasks))
    )

    torch.testing.assert_close(
        losses, MAML(model, 3, 3, 0.3, classification).task_losses(*stacked(tasks)), **CLOSE
    )


def test_reptile_keeps_no_graph_of_its_steps() -> None:
    reptile = Reptile(NETS["mlp"](), 20, 20, 0.3, classification)
    saved: list[Tensor] = []

    def save(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    data = stacked(draw_tasks())[0]
    distances = reptile.task_losses(data)
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        again = reptile.task_losses(data)

    assert torch.equal(distances, again)
    # The forward passes of the steps are hooked, too; what counts is what the result refers to.
    assert not {name for name in operations_behind(again) if "Softmax" in name or "mm" in name}


def operations_behind(tensor: Tensor) -> set[str]:
    """The names of the nodes in the graph of a tensor."""
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return {node.name() for node in seen}


def test_reptile_is_first_order_in_evaluation_too() -> None:
    (support, query), *_ = draw_tasks()
    reptile = Reptile(NETS["mlp"](), 3, 3, 0.3, classification).eval()

    adapted = reptile(support)

    assert not {name for name in operations_behind(adapted.get_buffer("0.weight")) if "mm" in name}
    assert classification(adapted, query) < classification(reptile.model, query) + 1


@pytest.mark.parametrize(("mode", "has_query"), [(True, True), (False, False)])
def test_reptile_takes_query_sets_in_eval_mode_only(mode: bool, has_query: bool) -> None:
    support, query = stacked(draw_tasks())
    reptile = Reptile(NETS["mlp"](), 1, 1, 0.3, classification).train(mode)

    with pytest.raises(ArgumentError, match=r"Reptile has query sets in eval mode only"):
        reptile.task_losses(support, query if has_query else None)


def test_more_samples_than_there_are_cannot_be_taken() -> None:
    reptile = Reptile(NETS["mlp"](), 1, 1, 0.3, classification, batch_size=7)

    with pytest.raises(ArgumentError, match=r"batch_size=7 .* axis 1 .* has sizes \[6\]"):
        reptile.task_losses(stacked(draw_tasks())[0])

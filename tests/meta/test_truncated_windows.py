"""An inner loop that is cut into windows: each goes on where the last one ended."""

from __future__ import annotations

from typing import Any

import references
import torch
from few_shot_cases import classification, draw_tasks, mlp
from references import constant
from torch import Tensor, nn

from metann import optim
from metann.meta import MAML

CLOSE: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}


def test_T30_windows_go_on_with_weights_and_the_optimisers_state() -> None:
    model, ((support, _), *_) = mlp(), draw_tasks()
    maml = MAML(model, 2, 2, None, classification, optimizer=optim.SGD(0.2, momentum=0.9))
    whole = maml.adapt(support, 6)

    part = maml.adapt(support)
    for _ in range(2):
        part = maml.adapt(support, start=part.detached())

    torch.testing.assert_close([*part.model.dependents()], [*whole.model.dependents()], **CLOSE)
    torch.testing.assert_close(part.losses, whole.losses[4:], **CLOSE)


def test_T30_a_window_reaches_back_to_its_beginning_and_no_further() -> None:
    model, ((support, query), *_) = mlp(), draw_tasks()
    rate = nn.Parameter(torch.tensor(0.3))
    maml = MAML(model, 2, 2, rate, classification)
    begin = references.in_place(model, support, classification, 2, 0.3)
    expected = references.maml(begin, [(support, query)], classification, constant(begin, 2, 0.3))

    first = maml.adapt(support).detached()
    classification(maml.adapt(support, start=first).model, query).backward()

    by_rate = sum(sum(s.sum() for s in step.values()) for step in expected.by_rate)
    torch.testing.assert_close(rate.grad, by_rate, **CLOSE)
    assert {parameter.grad for parameter in model.parameters()} == {None}


def test_T30_the_graph_of_a_window_does_not_grow() -> None:
    model, ((support, query), *_) = mlp(), draw_tasks()
    maml = MAML(model, 2, 2, nn.Parameter(torch.tensor(0.1)), classification)
    sizes: list[int] = []

    adapted = maml.adapt(support)
    for _ in range(4):
        adapted = maml.adapt(support, start=adapted.detached())
        sizes.append(nodes_behind(classification(adapted.model, query)))

    assert len(set(sizes)) == 1


def nodes_behind(tensor: Tensor) -> int:
    waiting: list[Any] = [tensor.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return len(seen)

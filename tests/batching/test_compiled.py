"""torch.compile follows a call for all tasks, into one graph."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from metann import Learner

TASKS = 3
# torch looks at `.grad` of every tensor that it traces, whoever holds it.
traced = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@traced
@pytest.mark.usefixtures("_fresh_compiler")
def test_a_call_for_all_tasks_is_one_graph_with_the_same_gradients():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    learner, x = Learner(net), torch.randn(TASKS, 5, 3)
    sets = [torch.randn(TASKS, *p.shape, requires_grad=True) for p in net.parameters()]

    def call(sets: list[Tensor], x: Tensor) -> Tensor:
        return learner.batched(sets, True, x)

    found = torch.compile(call, fullgraph=True, backend="aot_eager")(sets, x)

    expected = call(sets, x)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.sin().sum(), sets),
        torch.autograd.grad(expected.sin().sum(), sets),
    )

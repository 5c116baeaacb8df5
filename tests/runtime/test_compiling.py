"""torch.compile: calls, dependent modules and instances become one graph."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from small_nets import Scaled, computed, expected, fresh, inputs, mlp, normalised, same
from torch import Tensor, nn

from metann import DependentModule, Learner

# torch looks at `.grad` of every tensor that it traces, whoever holds it.
traced = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@traced
def test_a_call_compiles_into_one_graph(fresh_compiler) -> None:
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), inputs()
    learner, weights = Learner(net), fresh(net)

    @torch.compile(fullgraph=True, backend="eager")
    def call(ws: list[Tensor], x: Tensor) -> Tensor:
        return learner.functional(ws, True, x)

    assert same(call(weights, x), expected(net, weights, x))
    others = fresh(net)
    assert same(call(others, x), expected(net, others, x))


@traced
def test_a_dependent_module_compiles_into_one_graph(fresh_compiler) -> None:
    plain, x = mlp(), inputs()
    net = DependentModule.stateless(plain)
    compiled = torch.compile(net, fullgraph=True, backend="eager")

    for _ in range(2):
        net.substitute_from_list(weights := fresh(plain))
        assert same(compiled(x), expected(plain, weights, x))


@traced
def test_a_converted_users_class_compiles_into_one_graph(fresh_compiler) -> None:
    net, x = DependentModule(Scaled()), inputs()
    wanted = net(x)

    assert same(torch.compile(net, fullgraph=True, backend="eager")(x), wanted)


@traced
def test_a_bound_instance_compiles_into_one_graph(fresh_compiler) -> None:
    net, x = normalised(), inputs()
    weights = fresh(net)
    bound = Learner(net).bind(weights, training=False)

    compiled = torch.compile(bound, fullgraph=True, backend="eager")

    assert same(compiled(x), expected(net, weights, x, training=False))


@traced
def test_gradients_go_through_a_compiled_instance(fresh_compiler) -> None:
    net, x = mlp(), inputs()
    leaves, weights = computed(net)
    bound = Learner(net).bind(weights)

    out = torch.compile(bound, fullgraph=True, backend="aot_eager")(x)
    found = torch.autograd.grad(out.square().sum(), leaves, retain_graph=True)

    wanted = torch.autograd.grad(bound(x).square().sum(), leaves)
    assert all(map(same, found, wanted))


@traced
def test_a_dependent_module_can_be_compiled_in_place(fresh_compiler) -> None:
    net, x = DependentModule(mlp()), inputs()
    wanted = net(x)

    net.compile(fullgraph=True, backend="eager")

    assert same(net(x), wanted)

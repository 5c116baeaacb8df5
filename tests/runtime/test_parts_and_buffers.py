"""Parts of a model with computed weights, and buffers that a forward assigns to."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from looping import all_same, loss_of, steps, steps_in_place
from small_nets import Counting, by_name, inputs, same, state_of
from torch import Tensor, nn

from metann import DependentModule, Learner


class Encoding(nn.Module):
    """Has a part, and a method, that are of use alone: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.heads = nn.ModuleDict({"main": nn.Linear(4, 2)})

    def encode(self, x: Tensor) -> Tensor:
        return self.body(x).sin()

    def forward(self, x: Tensor) -> Tensor:
        return self.heads["main"](self.encode(x))


# ── T-33: parts of a model with these weights ────────────────────────────────────────────────


@pytest.mark.parametrize(
    "use",
    [
        lambda net, x: net.body(x),
        lambda net, x: net.body[0](x),
        lambda net, x: net.heads["main"](net.body(x)),
        lambda net, x: net.encode(x),
        lambda net, x: net.get_submodule("body.0")(x),
    ],
    ids=["a submodule", "an inner one", "one after the other", "a method", "by name"],
)
def test_T33_parts_of_a_model_can_be_trained_alone(use) -> None:
    net, data = Encoding(), inputs(3, 5, 3)
    learner, start = Learner(net), [p.detach().clone().requires_grad_() for p in net.parameters()]

    class Using(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return use(self.net, x)

    found = steps(lambda weights, x: use(learner.bind(weights, True), x), start, data)

    assert all_same(found, steps_in_place(Using(), data))
    meta = torch.autograd.grad(sum(w.square().sum() for w in found), start)
    assert all(g.abs().sum() > 0 for g in meta)


def test_T33_a_submodule_of_a_substituted_module_can_be_called_alone() -> None:
    net, x = Encoding(), inputs()
    weights = [torch.randn_like(p) for p in net.parameters()]

    dependent = DependentModule.stateless(net)
    dependent.substitute_from_list(weights)

    assert same(dependent.body[0](x), x @ weights[0].T + weights[1])


# ── T-88: buffers that a forward assigns to ──────────────────────────────────────────────────


def test_T88_a_buffer_that_is_assigned_to_starts_anew_in_each_call() -> None:
    net = Counting()
    learner = Learner(net)
    weights = [*net.parameters()]

    for x in inputs(3, 5, 3):
        _, buffers = learner.functional(weights, True, x, buffers="return")

        assert int(buffers["calls"]) == 1
    assert int(net.calls) == 0


def test_T88_the_buffers_of_an_instance_go_on_from_call_to_call() -> None:
    net, data = Counting(), inputs(3, 5, 3)
    before = state_of(net)
    bound, plain = Learner(net).bind([*net.parameters()]), deepcopy(net)

    for x in data:
        assert same(bound(x), plain(x))

    assert int(bound.calls) == 3
    assert torch.equal(bound.mean, plain.mean)
    assert state_of(net) == before


def test_T88_the_same_in_a_submodule_that_is_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Counting()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + self.inner(2 * x)

    net, x = Twice(), inputs()
    before = state_of(net)
    wanted = deepcopy(net)(x)

    found, buffers = Learner(net).functional(net.parameters(), True, x, buffers="return")

    assert same(found, wanted)
    assert int(buffers["inner.calls"]) == 2
    assert state_of(net) == before


def test_T88_a_gradient_flows_through_a_buffer_that_was_computed() -> None:
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)
            self.register_buffer("trace", torch.randn(2))

        def forward(self, x: Tensor) -> Tensor:
            self.trace = 0.5 * self.trace + self.layer(x).mean(0)
            return torch.tanh(self.layer(x) * self.trace)

    net, data = Remembering(), inputs(2, 5, 3)
    weights = [torch.randn_like(p).requires_grad_() for p in net.parameters()]
    bound = Learner(net).bind(weights)
    found = torch.autograd.grad(sum(loss_of(bound(x)) for x in data), weights)

    plain = deepcopy(net)
    plain.load_state_dict(by_name(net, weights), strict=False)
    wanted = torch.autograd.grad(sum(loss_of(plain(x)) for x in data), [*plain.parameters()])

    assert all_same([*found], [*wanted])
    assert not net.trace.requires_grad

"""Inner loops over models of every kind: the steps are those of a copy trained in place."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from small_nets import (
    Counting,
    Scaled,
    Shared,
    Tied,
    by_name,
    inputs,
    mlp,
    normalised,
    same,
    state_of,
)
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.errors import SubstitutionError

RATE = 0.1
Forward = Callable[[list[Tensor], Tensor], Tensor]


class Unused(nn.Module):
    """No call uses one of its parameters, and one of its layers: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(torch.randn(3))
        self.head = nn.Linear(2, 2)
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x))


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


class Failing(nn.Module):
    """A call fails when told to, after it has changed what it can: `(n, 3) -> (n, 2)`."""

    def __init__(self, fails: Callable[[], bool]) -> None:
        super().__init__()
        self.fails = fails
        self.layer = nn.Linear(3, 2)
        self.register_buffer("mean", torch.randn(2))

    def forward(self, x: Tensor) -> Tensor:
        self.mean.add_(1.0)
        self.layer.train(not self.training)
        if self.fails():
            raise RuntimeError("no more")
        return torch.tanh(self.layer(x))


def biasless() -> nn.Sequential:
    """Its first layer's bias is None: `(n, 3) -> (n, 2)`."""
    return nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2))


def frozen() -> nn.Sequential:
    """Its first layer is not to be trained: `(n, 3) -> (n, 2)`."""
    net = mlp()
    net[0].requires_grad_(False)
    return net


def loss_of(output: Tensor) -> Tensor:
    return (output - 0.3).square().mean()


def steps(forward: Forward, start: list[Tensor], data: Tensor) -> list[Tensor]:
    """The weights after a step of SGD for each batch; frozen and unused ones stay."""
    weights = start
    for x in data:
        trained = [w for w in weights if w.requires_grad]
        loss = loss_of(forward(weights, x))
        slopes = torch.autograd.grad(loss, trained, create_graph=True, allow_unused=True)
        slope_of = dict(zip(map(id, trained), slopes, strict=True))
        weights = [
            w if slope_of.get(id(w)) is None else w - RATE * slope_of[id(w)] for w in weights
        ]
    return weights


def steps_in_place(net: nn.Module, data: Tensor) -> list[Tensor]:
    """The parameters of a copy that torch's own optimiser has trained."""
    copied = deepcopy(net)
    optimiser = torch.optim.SGD(copied.parameters(), lr=RATE)
    for x in data:
        optimiser.zero_grad()
        loss_of(copied(x)).backward()
        optimiser.step()
    return [*copied.parameters()]


def by_learner(net: nn.Module) -> Forward:
    learner = Learner(net)
    return lambda weights, x: learner.functional(weights, True, x)


def by_substitution(net: nn.Module) -> Forward:
    copied = DependentModule.stateless(net)

    def forward(weights: list[Tensor], x: Tensor) -> Tensor:
        copied.substitute_from_list(weights)
        return copied(x)

    return forward


ways = pytest.mark.parametrize("way", [by_learner, by_substitution])


def all_same(found: list[Tensor], wanted: list[Tensor]) -> bool:
    return len(found) == len(wanted) and all(map(same, found, wanted))


# ── T-12: a bias of None, unused and frozen parameters ───────────────────────────────────────


@ways
@pytest.mark.parametrize("make", [biasless, Unused, frozen])
def test_T12_a_loop_moves_what_training_in_place_moves(make, way) -> None:
    net, data = make(), inputs(3, 5, 3)
    start = [p.detach().clone().requires_grad_(p.requires_grad) for p in net.parameters()]

    found = steps(way(net), start, data)

    assert all_same(found, steps_in_place(net, data))
    moved = [not torch.equal(after, before) for after, before in zip(found, start, strict=True)]
    assert any(moved)
    assert all(moved) == (make is biasless)


def test_T12_a_bias_of_none_is_no_weight_and_stays_none() -> None:
    net = biasless()
    weights = [torch.randn_like(p) for p in net.parameters()]
    dependent = DependentModule.stateless(net)

    dependent.substitute_from_list(weights)

    assert [name for name, _ in dependent.named_dependents()] == ["0.weight", "2.weight", "2.bias"]
    assert dependent[0].bias is Learner(net).bind(weights)[0].bias is None
    with pytest.raises(SubstitutionError, match=r"unknown: 0\.bias"):
        dependent.substitute({"0.bias": torch.randn(4)}, strict=True)


def test_T12_none_is_not_taken_for_a_weight() -> None:
    net = mlp()
    weights = [*net.parameters()][:3]

    with pytest.raises(SubstitutionError, match=r"2\.bias must be a tensor, got NoneType"):
        Learner(net).functional([*weights, None], True, inputs())


def test_T12_an_unused_weight_has_no_gradient_and_torch_says_so() -> None:
    net = Unused()
    weights = [torch.randn_like(p).requires_grad_() for p in net.parameters()]
    loss = loss_of(Learner(net).functional(weights, True, inputs()))

    found = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)

    assert [g is None for g in found] == [True, True, True, False, False]
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        torch.autograd.grad(loss, weights)


def test_T12_what_is_frozen_in_the_module_is_not_in_a_tensor_given_for_it() -> None:
    net = frozen()
    leaf = torch.randn_like(net[0].weight).requires_grad_()
    weights = [2 * leaf, *[*net.parameters()][1:]]

    bound = Learner(net).bind(weights)
    loss_of(bound(inputs())).backward()

    assert leaf.grad.abs().sum() > 0
    assert bound[0].bias.requires_grad is net[0].bias.requires_grad is False
    assert net[0].weight.requires_grad is False
    assert net[0].weight.grad is None


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


# ── T-40: ties ───────────────────────────────────────────────────────────────────────────────


@ways
@pytest.mark.parametrize("make", [Tied, Shared])
def test_T40_tied_weights_stay_tied_for_three_steps(make, way) -> None:
    net, data = make(), inputs(3, 5, 3)
    start = [p.detach().clone().requires_grad_() for p in net.parameters()]

    found = steps(way(net), start, data)

    assert all_same(found, steps_in_place(net, data))
    meta = torch.autograd.grad(sum(w.square().sum() for w in found), start)
    assert all(g.abs().sum() > 0 for g in meta)


def test_T40_after_each_step_both_names_mean_one_tensor() -> None:
    net = Tied()
    dependent, weights = DependentModule.stateless(net), [*net.parameters()]
    for x in inputs(3, 5, 3):
        weights = steps(by_learner(net), weights, x[None])
        bound = Learner(net).bind(weights)
        dependent.substitute_from_list(weights)

        assert bound.encoder.weight is bound.decoder.weight is weights[0]
        assert dependent.encoder.weight is dependent.decoder.weight is weights[0]


# ── T-41: the user's own model ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", [mlp, normalised, Tied, Shared, Scaled, Counting, frozen, Unused])
def test_T41_an_inner_loop_never_touches_the_users_own_model(make) -> None:
    net, seen = make(), []
    net.register_forward_hook(lambda *_: seen.append(1))
    before = state_of(net)

    for way in (by_learner, by_substitution):
        weights = steps(way(net), [*net.parameters()], inputs(3, 5, 3))

    assert seen
    assert any(w is not p for w, p in zip(weights, net.parameters(), strict=True))
    assert state_of(net) == before
    assert all(p.grad is None for p in net.parameters())


@ways
def test_T41_an_exception_inside_the_loop_leaves_the_model_intact(way) -> None:
    calls: list[int] = []
    # The third call of all.
    net, data = Failing(lambda: calls.append(1) or len(calls) == 3), inputs(3, 5, 3)
    before, start = state_of(net), [*net.parameters()]
    forward = way(net)

    with pytest.raises(RuntimeError, match="no more"):
        steps(forward, start, data)

    assert len(calls) == 3
    assert state_of(net) == before
    # What was used for it can be used again.
    assert all_same(steps(forward, start, data), steps_in_place(net, data))


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
    class Calling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Counting()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + self.inner(2 * x)

    net, x = Calling(), inputs()
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

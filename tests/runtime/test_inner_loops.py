"""Inner loops over models of every kind: the steps are those of a copy trained in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from looping import all_same, by_learner, by_substitution, loss_of, steps, steps_in_place
from small_nets import (
    Counting,
    Scaled,
    Shared,
    Tied,
    inputs,
    mlp,
    normalised,
    state_of,
)
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.errors import SubstitutionError


class Unused(nn.Module):
    """No call uses one of its parameters, and one of its layers: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(torch.randn(3))
        self.head = nn.Linear(2, 2)
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x))


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


ways = pytest.mark.parametrize("way", [by_learner, by_substitution])


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


# ── T-20: hooks ──────────────────────────────────────────────────────────────────────────────


class Multiplied(nn.Module):
    """Takes a keyword argument: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor, factor: float = 1.5) -> Tensor:
        return torch.tanh(self.layer(x)) * factor


class Calling(nn.Module):
    """Calls its part with a keyword argument: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Multiplied()

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x, factor=0.5)


def _on_output(module: Multiplied, args: Any, out: Tensor) -> Tensor:
    return out + module.layer.weight.sum().sin()


def _on_output_by_kwargs(module: Multiplied, args: Any, kwargs: Any, out: Tensor) -> Tensor:
    return out + kwargs["factor"] * module.layer.weight.sum().sin()


def _on_input(module: Multiplied, args: tuple[Tensor]) -> Tensor:
    return args[0] * module.layer.bias.sum().cos()


def _on_kwargs(module: Multiplied, args: Any, kwargs: Any) -> tuple[Any, Any]:
    return args, {"factor": kwargs["factor"] * module.layer.bias.sum().cos()}


HOOKS: dict[str, Callable[[Multiplied], Any]] = {
    "forward": lambda part: part.register_forward_hook(_on_output),
    "forward with kwargs": lambda part: part.register_forward_hook(
        _on_output_by_kwargs, with_kwargs=True
    ),
    "pre": lambda part: part.register_forward_pre_hook(_on_input),
    "pre with kwargs": lambda part: part.register_forward_pre_hook(_on_kwargs, with_kwargs=True),
}


@ways
@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_T20_a_hook_acts_in_every_step_with_the_weights_of_that_step(register, way) -> None:
    net, data = Calling(), inputs(3, 5, 3)
    start = [p.detach().clone().requires_grad_() for p in net.parameters()]
    without = steps(way(net), start, data)
    register(net.part)

    found = steps(way(net), start, data)

    assert all_same(found, steps_in_place(net, data))
    assert not all_same(found, without)
    meta = torch.autograd.grad(sum(w.square().sum() for w in found), start)
    assert all(g.abs().sum() > 0 for g in meta)


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

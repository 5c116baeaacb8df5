"""Random module trees, converted, cleared, substituted, called and restored: as the plain ones.

Each test is one seed of hypothesis, named in its id. `RANDOM_TREES=100:200 pytest tests/battery`
takes other seeds than the fixed ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from comparing import assert_same, gradients, load, scalar, seed_torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from tree_classes import HOLDERS
from tree_leaves import LEAVES
from trees import CHANGES, Tree, built, inputs, tree, trees

from metann import DependentModule, Learner

FIRST, _, LAST = os.environ.get("RANDOM_TREES", "0:8").partition(":")
TREES_A_SEED = 75
# Sums may be taken in another order, and are carried through all of a tree, twice.
ROUNDINGS = 256.0
STEP = 1e-5
# Kinds whose gradients do not follow their outputs.
NO_DERIVATIVE = {
    "SpectralNorm",  # The vectors of its power iteration are held constant.
    "OldSpectralNorm",
    "HookBackward",  # A hook changes the gradient.
    "HookBeforeBackward",
    "Embedding",  # The row for padding gets none.
    "OtherKinds",  # A weight of lower precision.
}

Call = Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Use:
    """How a tree is used.

    Attributes:
        training: the mode; None for that of each module as it was built.
        by_name: weights are given by name, not in order.
        keep_values: converted modules keep their values until they are substituted.
        of_converted: it is converted before it is given to a Learner.
        copied: what is called is a deep copy.
        seed: of weights, inputs and what is random in a call.
    """

    training: bool | None = True
    by_name: bool = True
    keep_values: bool = False
    of_converted: bool = False
    copied: bool = False
    seed: int = 0

    def prepared(self, module: nn.Module) -> nn.Module:
        return module if self.training is None else module.train(self.training)

    def spoilt(self, module: nn.Module) -> nn.Module:
        """In the other mode than the one asked for."""
        return module if self.training is None else module.train(not self.training)


@dataclass(frozen=True)
class Outcome:
    """What came of calling a module."""

    output: Tensor
    buffers: dict[str, Tensor]
    gradients: list[Tensor]
    second: list[Tensor]

    def assert_like(self, other: Outcome) -> None:
        assert_same([self.output], [other.output], ROUNDINGS)
        assert list(self.buffers) == list(other.buffers)
        assert_same([*self.buffers.values()], [*other.buffers.values()], ROUNDINGS)
        assert_same(self.gradients, other.gradients, ROUNDINGS)
        assert_same(self.second, other.second, ROUNDINGS)


class Weights:
    """Weights that are not the module's own: leaves, and what is computed from them."""

    def __init__(self, net: nn.Module, use: Use) -> None:
        draw = torch.Generator().manual_seed(use.seed)
        self.leaves = [_drawn(parameter, draw) for parameter in net.parameters()]
        # The gradient by each is that by its leaf.
        self.computed = [leaf + 0.1 if leaf.requires_grad else leaf for leaf in self.leaves]
        self.named = dict(zip(dict(net.named_parameters()), self.computed, strict=True))
        self.given = self.named if use.by_name else self.computed

    def put_into(self, module: DependentModule) -> None:
        put = module.substitute if self.given is self.named else module.substitute_from_list
        put(self.given)


def _drawn(parameter: Tensor, draw: torch.Generator) -> Tensor:
    if not (parameter.is_floating_point() or parameter.is_complex()):
        return parameter.detach().flip(0)
    drawn = torch.randn(parameter.shape, dtype=parameter.dtype, generator=draw)
    return drawn.requires_grad_(parameter.requires_grad)


def called(function: Callable[[Tensor], Tensor], use: Use) -> list[Tensor]:
    """The output, from a fixed seed, without a graph."""
    seed_torch(use.seed + 1)
    with torch.no_grad():
        return [function(inputs(use.seed + 1))]


def outcome(module: nn.Module, weights: Sequence[Tensor], use: Use) -> Outcome:
    """What comes of calling a module that keeps its buffers."""
    return outcome_of(lambda x: (module(x), dict(module.named_buffers())), weights, use)


def outcome_of(function: Call, weights: Sequence[Tensor], use: Use) -> Outcome:
    """Output, buffers, gradients, and how the gradients change along a direction."""
    x = inputs(use.seed).requires_grad_()
    of = [*(w for w in weights if w.requires_grad), x]
    seed_torch(use.seed)
    output, buffers = function(x)
    buffers = {name: buffer.clone() for name, buffer in buffers.items()}
    first = gradients(scalar(output), of, create_graph=True)
    along = [torch.randn_like(gradient) for gradient in first]
    pairs = zip(first, along, strict=True)
    slope = torch.stack([(g * d.conj()).real.sum().double() for g, d in pairs]).sum()
    return Outcome(output, buffers, first, gradients(slope, of))


def snapshot(net: nn.Module) -> list[Any]:
    """What a functional call may not change: the objects that a tree is made of, and numbers."""
    return [
        (id(module), type(module), *map(_shown, vars(module).items())) for module in net.modules()
    ]


def _shown(attribute: tuple[str, Any]) -> tuple[Any, ...]:
    name, value = attribute
    if isinstance(value, dict):
        return name, *((key, id(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return name, *map(id, value)
    return name, value if isinstance(value, int | float | str | bool | None) else id(value)


def values_of(net: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in (*net.parameters(), *net.buffers())]


def check(of: Tree, use: Use) -> None:
    """Each way to use a tree under other weights equals the plain tree that has these weights."""
    net, plain = use.prepared(built(of)), use.prepared(built(of, converts=False))
    converted = use.prepared(DependentModule(built(of)))
    used = called(plain, use)
    assert_same(called(net, use), used, ROUNDINGS)
    assert_same(called(converted, use), used, ROUNDINGS)
    weights, state = Weights(net, use), net.state_dict()
    assert list(converted.state_dict()) == list(state)
    expected = outcome(load(plain, weights.computed), [*plain.parameters()], use)
    again = called(plain, use)

    subject = use.spoilt(converted if use.of_converted else net)
    check_calls(subject, weights, use, expected, again)
    use.prepared(converted)
    check_converted(converted, net, weights, use, expected, again)
    _check_changed(converted, plain, weights, use)
    plain.load_state_dict(state)
    converted.load_state_dict(state)
    assert_same(called(converted, use), called(plain, use), ROUNDINGS)


def check_calls(
    net: nn.Module, weights: Weights, use: Use, expected: Outcome, again: list[Tensor]
) -> None:
    """`Learner.functional`, `Learner.bind` and `DependentModule.stateless`; `net` is untouched."""
    before, values, learner = snapshot(net), values_of(net), Learner(net)
    if use.training is not None:
        call = partial(learner.functional, weights.given, use.training, buffers="return")
        outcome_of(call, weights.leaves, use).assert_like(expected)

    stateless = use.prepared(DependentModule.stateless(net))
    weights.put_into(stateless)
    for instance in (stateless, learner.bind(weights.given, use.training)):
        taken = deepcopy(instance) if use.copied else instance
        outcome(taken, weights.leaves, use).assert_like(expected)
        assert_same(called(taken, use), again, ROUNDINGS)

    assert snapshot(net) == before
    assert_same(values_of(net), values, roundings=0.0)
    assert all(parameter.grad is None for parameter in net.parameters())


def check_converted(
    converted: DependentModule,
    net: nn.Module,
    weights: Weights,
    use: Use,
    expected: Outcome,
    again: list[Tensor],
) -> None:
    """Cleared and substituted, it has the names of `net`."""
    converted.clear_params(init=use.keep_values)
    dependents = dict(converted.named_dependents())
    assert list(dependents) == list(dict(net.named_parameters()))
    if use.keep_values:
        assert_same([*dependents.values()], [*net.parameters()], roundings=0.0)
        assert list(converted.state_dict()) == list(net.state_dict())
    weights.put_into(converted)
    outcome(converted, weights.leaves, use).assert_like(expected)
    assert_same(called(converted, use), again, ROUNDINGS)


def _check_changed(
    converted: DependentModule, plain: nn.Module, weights: Weights, use: Use
) -> None:
    """Some weights are substituted by name, the others stay."""
    some = {name: weight * 2 for name, weight in [*weights.named.items()][use.seed % 2 :: 2]}
    converted.substitute(some, strict=False)
    load(plain, {**weights.named, **some}.values())
    assert_same(called(converted, use), called(plain, use), ROUNDINGS)


uses = st.builds(
    Use,
    training=st.sampled_from([True, False, None]),
    by_name=st.booleans(),
    keep_values=st.booleans(),
    of_converted=st.booleans(),
    copied=st.booleans(),
    seed=st.integers(0, 99),
)


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def alone() -> list[Tree]:
    """Each kind of module after a linear layer; what holds and changes does so to simple ones."""
    simple, other = tree("Linear"), tree("BatchNorm1d")
    some = [
        *map(tree, LEAVES),
        *(tree(kind, other, simple) for kind in HOLDERS),
        *(tree(kind, part) for kind in CHANGES for part in (simple, other)),
        *(tree(kind, number=0) for kind in ("Again", "Tied")),
    ]
    return [tree("Sequential", simple, last) for last in some]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("of", alone(), ids=str)
def test_each_kind_of_module(of: Tree, training: bool) -> None:
    check(of, Use(training))
    if NO_DERIVATIVE.isdisjoint(kinds_in(of)):
        check_against_finite_differences(built(of), training)


def kinds_in(of: Tree) -> set[str]:
    return {of.kind}.union(*map(kinds_in, of.parts))


def check_against_finite_differences(net: nn.Module, training: bool) -> None:
    """How the gradients change along a direction, by autograd and by two gradients beside."""
    learner = Learner(net)
    at = [*Weights(net.requires_grad_(), Use()).leaves, inputs(0).requires_grad_()]
    along = [torch.randn_like(tensor) for tensor in at]

    def gradients_after(step: float) -> list[Tensor]:
        *weights, x = (t + step * d for t, d in zip(at, along, strict=True))
        seed_torch(0)
        output = learner.functional(weights, training, x)
        return gradients(scalar(output), [*weights, x], create_graph=True)

    slope = sum(((g * d).sum() for g, d in zip(gradients_after(0.0), along, strict=True)))
    found = gradients(slope, at)
    beside = zip(gradients_after(STEP), gradients_after(-STEP), strict=True)
    largest = max(1.0, *(float(tensor.abs().max()) for tensor in found))
    for one, (after, before) in zip(found, beside, strict=True):
        expected = (after - before) / (2 * STEP)
        torch.testing.assert_close(one, expected, rtol=0.0, atol=1e-6 * largest)


@pytest.mark.parametrize("number", range(int(FIRST), int(LAST)))
def test_random_trees_are_used_under_other_weights_as_under_their_own(number: int) -> None:
    @seed(number)
    @settings(
        max_examples=TREES_A_SEED,
        deadline=None,
        database=None,
        print_blob=True,
        derandomize=False,
        suppress_health_check=[*HealthCheck],
    )
    @given(of=trees(), use=uses)
    def test(of: Tree, use: Use) -> None:
        check(of, use)

    test()

"""Weights that are no plain tensors: subclasses, and objects that act like a tensor."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from small_nets import by_name, expected, fresh, inputs, mlp, same
from torch import Tensor, nn
from torch.nn import functional as F

from metann import DependentModule, Learner
from metann.errors import SubstitutionError


class Noting(Tensor):
    """A tensor that notes what it is used in."""

    used: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None) -> Any:
        cls.used.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})


class LowRank:
    """Acts like the matrix `left @ right`, which it never makes."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left, self.right = left, right

    @property
    def shape(self) -> torch.Size:
        return torch.Size([self.left.shape[0], self.right.shape[1]])

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None) -> Any:
        assert func is F.linear
        x, weight, bias = args
        return x @ weight.right.mT @ weight.left.mT + bias


class Shapeless:
    """Says that it acts like a tensor, and has no shape."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None) -> Any:
        raise AssertionError("it is never used")


def low_rank_weights(net: nn.Module) -> tuple[list[Tensor], list[Any], list[Tensor]]:
    """Leaves, weights made of them of which the first is `LowRank`, and the same as tensors."""
    left, right = torch.randn(4, 1, requires_grad=True), torch.randn(1, 3, requires_grad=True)
    others = fresh(net)[1:]
    return [left, right, *others], [LowRank(left, right), *others], [left @ right, *others]


FORMS = {
    "a list": lambda net, weights: weights,
    "a tuple": lambda net, weights: tuple(weights),
    "an iterator": lambda net, weights: iter(weights),
    "a mapping": by_name,
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@forms
def test_T87_what_acts_like_a_tensor_may_be_a_weight_of_a_call(form) -> None:
    net, x = mlp(), inputs()
    _, weights, tensors = low_rank_weights(net)

    found = Learner(net).functional(form(net, weights), True, x)

    assert same(found, expected(net, tensors, x))


@forms
def test_T87_and_of_an_instance(form) -> None:
    net, x = mlp(), inputs()
    _, weights, tensors = low_rank_weights(net)

    bound = Learner(net).bind(form(net, weights))

    assert bound[0].weight is weights[0]
    assert same(bound(x), expected(net, tensors, x))


def test_T87_and_may_be_substituted_by_name() -> None:
    net, x = mlp(), inputs()
    _, weights, tensors = low_rank_weights(net)

    dependent = DependentModule.stateless(net)
    dependent.substitute(by_name(net, weights))

    assert same(dependent(x), expected(net, tensors, x))


def test_T87_gradients_of_both_orders_reach_what_it_is_made_of() -> None:
    net, x = mlp(), inputs()
    leaves, weights, tensors = low_rank_weights(net)
    gradients = []
    for out in (Learner(net).functional(weights, True, x), expected(net, tensors, x)):
        first = torch.autograd.grad(out.square().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(
            sum(g.square().sum() for g in first), leaves, retain_graph=True
        )
        gradients.append((*first, *second))

    assert all(map(same, *gradients))


def test_T87_its_shape_must_be_right() -> None:
    net = mlp()
    _, weights, _ = low_rank_weights(net)
    weights[0] = LowRank(torch.randn(4, 1), torch.randn(1, 2))

    with pytest.raises(
        SubstitutionError, match=r"0\.weight must have shape \(4, 3\), got \(4, 2\)"
    ):
        Learner(net).functional(weights, True, inputs())


@pytest.mark.parametrize("wrong", [Shapeless(), Tensor, object(), 1.5, [[1.0] * 3] * 4])
def test_T87_what_has_no_shape_is_no_weight(wrong) -> None:
    net = mlp()
    weights = [wrong, *fresh(net)[1:]]

    for use in (
        lambda: Learner(net).functional(weights, True, inputs()),
        lambda: Learner(net).functional(by_name(net, weights), True, inputs()),
        lambda: DependentModule.stateless(net).substitute_from_list(weights),
    ):
        with pytest.raises(SubstitutionError, match=r"0\.weight must be a tensor, got "):
            use()


def test_T87_a_subclass_of_tensor_stays_one() -> None:
    net, x = mlp(), inputs()
    leaves = fresh(net)
    weights = [leaf.as_subclass(Noting) for leaf in leaves]
    Noting.used.clear()

    found = Learner(net).functional(weights, True, x)

    assert type(found) is Noting
    assert "linear" in Noting.used
    assert same(found.as_subclass(Tensor), expected(net, leaves, x))
    gradients = torch.autograd.grad(found.square().sum(), leaves)
    wanted = torch.autograd.grad(expected(net, leaves, x).square().sum(), leaves)
    assert all(map(same, gradients, wanted))


def test_T87_a_subclass_of_parameter_is_bound_as_it_is() -> None:
    class Marked(nn.Parameter):
        pass

    net = mlp()
    weights = [Marked(torch.randn_like(p)) for p in net.parameters()]

    bound = Learner(net).bind(weights)

    assert [*map(type, bound.dependents())] == [Marked] * 4
    assert bound[0].weight is weights[0]

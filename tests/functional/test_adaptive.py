"""The adaptive softmax, with weights and examples in batches."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transforming import FORWARD_MODE_WARNS, as_function, assert_every_derivative, stacked

from metann import Learner

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

LAYERS = (
    nn.AdaptiveLogSoftmaxWithLoss(6, 8, [2, 5], div_value=1.5),
    nn.AdaptiveLogSoftmaxWithLoss(6, 8, [2, 5], div_value=1.5, head_bias=True),
    nn.AdaptiveLogSoftmaxWithLoss(6, 8, [3], div_value=2.0),
)
each_layer = pytest.mark.parametrize("layer", LAYERS, ids=["two tails", "bias", "one tail"])
# Of two batches of examples: in the head alone, in each cluster.
TARGETS = torch.tensor([[0, 1, 1, 0], [7, 3, 1, 5]])


def bound(layer: nn.Module, weights: Any) -> Any:
    return Learner(layer).bind(list(weights), training=True)


def in_double(layer: nn.Module) -> nn.Module:
    return layer.to(torch.float64)


@each_layer
def test_forward_in_batches(layer: nn.Module) -> None:
    learner = Learner(in_double(layer))
    weights = stacked(list(layer.parameters()))
    x = torch.randn(2, 4, 6)

    def both(given: Tensor, target: Tensor, *batch: Tensor) -> tuple[Tensor, Tensor]:
        found = learner.functional(list(batch), True, given, target)
        assert type(found).__name__ == "_ASMoutput"
        return found.output, found.loss

    found = torch.vmap(both)(x, TARGETS, *weights)
    one_by_one = [both(*each) for each in zip(x, TARGETS, *weights, strict=True)]
    for number in range(2):
        expected = torch.stack([pair[number] for pair in one_by_one])
        torch.testing.assert_close(found[number], expected, rtol=1e-13, atol=1e-13)


@each_layer
@pytest.mark.parametrize("batched", ["weights", "inputs", "both"])
def test_forward_with_one_of_the_two_in_batches(layer: nn.Module, batched: str) -> None:
    learner = Learner(in_double(layer))
    weights, x = stacked(list(layer.parameters())), torch.randn(2, 4, 6)
    dims = (None if batched == "weights" else 0, None if batched == "inputs" else 0)
    given = (x[0] if dims[0] is None else x, [w[0] if dims[1] is None else w for w in weights])

    def loss(inputs: Tensor, batch: list[Tensor]) -> Tensor:
        return learner.functional(batch, True, inputs, TARGETS[1]).loss

    found = torch.vmap(loss, in_dims=dims)(*given)
    for number in range(2):
        one = loss(
            x[0 if dims[0] is None else number],
            [w[0 if dims[1] is None else number] for w in weights],
        )
        torch.testing.assert_close(found[number], one, rtol=1e-13, atol=1e-13)


@each_layer
def test_one_example_in_batches(layer: nn.Module) -> None:
    learner = Learner(in_double(layer))
    weights, x, target = stacked(list(layer.parameters())), torch.randn(2, 6), TARGETS[1, :2]

    def log_probability(given: Tensor, right: Tensor, *batch: Tensor) -> Tensor:
        return learner.functional(list(batch), True, given, right).output

    found = torch.vmap(log_probability)(x, target, *weights)
    expected = [log_probability(*each) for each in zip(x, target, *weights, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-13, atol=1e-13)


@each_layer
@pytest.mark.parametrize("method", ["log_prob", "predict"])
def test_its_other_methods_in_batches(layer: nn.Module, method: str) -> None:
    weights, x = stacked(list(in_double(layer).parameters())), 3 * torch.randn(2, 20, 6)

    def called(given: Tensor, *batch: Tensor) -> Tensor:
        return getattr(bound(layer, batch), method)(given)

    found = torch.vmap(called)(x, *weights)
    expected = [called(*each) for each in zip(x, *weights, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-13, atol=1e-13)
    assert method == "log_prob" or len(found.unique()) > 2


@each_layer
def test_all_derivatives(layer: nn.Module) -> None:
    function, weights = as_function(in_double(layer), training=True, target_=TARGETS[1])

    assert_every_derivative(
        lambda *tensors: tuple(function(*tensors)), [*weights, torch.randn(4, 6)]
    )


# Shapes of input and target, and the classes: what torch refuses, too.
REFUSED = (
    ((3, 6), torch.tensor([0, 1]), r"same size|one dimension more"),
    ((6,), torch.tensor([0, 1]), r"same size|one dimension more"),
    ((2, 6), torch.tensor(0), r"0D target tensor expects|one dimension more"),
    ((2, 2, 6), torch.tensor([[0, 1], [1, 0]]), r"multi-target not supported"),
    ((2, 6), torch.tensor([0, 8]), r"Target values should be in \[0, 7\]"),
    ((2, 6), torch.tensor([-1, 3]), r"Target values should be in \[0, 7\]"),
)


@pytest.mark.parametrize(("shape", "target", "message"), REFUSED, ids=str)
@pytest.mark.parametrize("batched", [False, True])
def test_what_torch_refuses(shape: tuple, target: Tensor, message: str, batched: bool) -> None:
    layer = in_double(LAYERS[0])
    learner, weights = Learner(layer), stacked(list(layer.parameters()))

    def called(given: Tensor, right: Tensor, *batch: Tensor) -> Tensor:
        return learner.functional(list(batch), True, given, right).loss

    batch = [torch.randn(2, *shape), torch.stack([target] * 2), *weights]
    call = (
        partial(torch.vmap(called), *batch) if batched else partial(called, *(t[0] for t in batch))
    )
    with pytest.raises(RuntimeError, match=message):
        call()


class Tempered(nn.AdaptiveLogSoftmaxWithLoss):
    """A user's own, with one method of its own."""

    def log_prob(self, input: Tensor) -> Tensor:
        return super().log_prob(input) / 2


def test_a_users_method_is_called_inside_vmap() -> None:
    layer = Tempered(6, 8, [2, 5], div_value=1.5)
    weights, x = stacked(list(layer.parameters())), torch.randn(4, 6)

    found = torch.vmap(lambda *batch: bound(layer, batch).log_prob(x))(*weights)
    expected = [bound(layer, each).log_prob(x) for each in zip(*weights, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected))
    torch.testing.assert_close(found.mul(2).exp().sum(-1), torch.ones(2, 4))

"""Linear cross entropy in chunks: torch's kernel in first order, all derivatives else."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transforming import (
    FORWARD_MODE_WARNS,
    Operators,
    as_function,
    assert_every_derivative,
    assert_vmap,
    stacked,
)

from metann import Learner, functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

CHUNKS = nn.LinearCrossEntropyOptions(batch_chunk_size=2, chunking_method=None)
AGAIN = nn.LinearCrossEntropyOptions(
    batch_chunk_size=2, chunking_method=None, allow_retain_graph=True
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"weight": torch.tensor([0.5, 1.5, 1.0, 2.0], dtype=torch.float64)},
    {"ignore_index": 1},
    {"options": AGAIN},
    {"options": nn.LinearCrossEntropyOptions(allow_retain_graph=True)},
    {"options": None},
)
each_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ", ".join(o) or "none")
each_reduction = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
TARGET = torch.tensor([1, 3, 0])


def drawn() -> list[Tensor]:
    """Input, weight, bias."""
    return [torch.randn(3, 5), torch.randn(4, 5), torch.randn(4)]


def loss(form: Any, **options: Any) -> Any:
    given = {"options": CHUNKS, **options}
    return lambda x, w, b: form(x, w, TARGET, linear_bias=b, **given)


@each_option
@each_reduction
def test_in_first_order_it_is_torchs(options: dict[str, Any], reduction: str) -> None:
    inputs = [tensor.requires_grad_() for tensor in drawn()]
    results = [
        loss(form, reduction=reduction, **options)(*inputs)
        for form in (functional.linear_cross_entropy, F.linear_cross_entropy)
    ]
    ours, torchs = (torch.autograd.grad(result.square().sum(), inputs) for result in results)

    assert torch.equal(*results)
    assert all(map(torch.equal, ours, torchs))


@each_option
@each_reduction
def test_all_derivatives(options: dict[str, Any], reduction: str) -> None:
    # Checks go back through one graph several times.
    given = {"options": AGAIN, **options}

    assert_every_derivative(
        loss(functional.linear_cross_entropy, reduction=reduction, **given), drawn()
    )


@each_reduction
def test_batches(reduction: str) -> None:
    ours = loss(functional.linear_cross_entropy, reduction=reduction)

    assert_vmap(ours, stacked(drawn()))
    if reduction != "none":
        assert_vmap(torch.func.grad(ours), stacked(drawn()))
        assert_vmap(torch.func.hessian(ours), stacked(drawn()))


@pytest.mark.parametrize("number", range(3))
def test_gradients_of_some_inputs_only(number: int) -> None:
    inputs = drawn()
    inputs[number].requires_grad_()
    values = [
        loss(functional.linear_cross_entropy, options=options)(*inputs)
        for options in (CHUNKS, None)
    ]
    seconds = []
    for value in values:
        (first,) = torch.autograd.grad(value, inputs[number], create_graph=True)
        seconds += torch.autograd.grad(first.square().sum(), inputs[number])

    torch.testing.assert_close(*seconds, rtol=1e-12, atol=1e-12)


def test_one_example_and_no_bias() -> None:
    def ours(x: Tensor, w: Tensor) -> Tensor:
        return functional.linear_cross_entropy(x, w, torch.tensor(2), options=AGAIN)

    assert_every_derivative(ours, [torch.randn(5), torch.randn(4, 5)])


def test_without_gradients_there_is_no_graph() -> None:
    inputs = [tensor.requires_grad_() for tensor in drawn()]
    with torch.no_grad():
        assert not loss(functional.linear_cross_entropy)(*inputs).requires_grad
    assert not loss(functional.linear_cross_entropy)(*drawn()).requires_grad


@pytest.mark.filterwarnings("ignore:linear_cross_entropy. ``options`` ignored:UserWarning")
def test_probabilities_as_targets_keep_their_gradient() -> None:
    x, w, _ = drawn()

    def ours(target: Tensor) -> Tensor:
        return functional.linear_cross_entropy(x, w, target.softmax(1), options=CHUNKS)

    assert_every_derivative(ours, [torch.randn(3, 4)])


def test_a_second_backward_pass_is_torchs_error() -> None:
    inputs = [tensor.requires_grad_() for tensor in drawn()]
    value = loss(functional.linear_cross_entropy)(*inputs)
    torch.autograd.grad(value, inputs, retain_graph=True)
    with pytest.raises(RuntimeError, match=r"chunked backward called twice"):
        torch.autograd.grad(value, inputs)


def test_in_first_order_the_layer_calls_torchs_kernel_and_never_has_all_logits() -> None:
    layer = nn.LinearCrossEntropyLoss(5, 4, bias=True, options=CHUNKS)
    learner = Learner(layer)
    weights = [parameter.detach().requires_grad_() for parameter in layer.parameters()]
    x = torch.randn(3, 5)
    with Operators() as first:
        torch.autograd.grad(learner.functional(weights, True, x, TARGET), weights)
    value = learner.functional(weights, True, x, TARGET)
    with Operators() as second:
        torch.autograd.grad(value, weights, create_graph=True)

    assert "_linear_cross_entropy_batch_chunked" in first.names
    assert "_log_softmax" not in first.names
    assert "_log_softmax" in second.names


@each_reduction
def test_the_layer_has_all_derivatives(reduction: str) -> None:
    layer = nn.LinearCrossEntropyLoss(5, 4, bias=True, reduction=reduction, options=AGAIN)
    function, weights = as_function(layer, training=True, target=TARGET)

    assert_every_derivative(function, [*weights, torch.randn(3, 5)])
    batch = stacked([*weights, torch.randn(3, 5)])
    assert_vmap(function, batch)


def test_options_that_torch_does_not_follow() -> None:
    inputs = drawn()
    ours, torchs = (
        partial(form, *inputs[:2], TARGET, label_smoothing=0.1, options=CHUNKS)
        for form in (functional.linear_cross_entropy, F.linear_cross_entropy)
    )
    with pytest.warns(UserWarning, match=r"``options`` ignored"):
        found = ours()
    with pytest.warns(UserWarning, match=r"``options`` ignored"):
        assert torch.equal(found, torchs())

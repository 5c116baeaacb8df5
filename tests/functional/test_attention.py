"""Scaled-dot-product attention: torch's numbers, each derivative, dropout, autocast."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from attending import WAYS, Attending
from torch import Tensor, nn

# As somebody's module may have it, under torch's name.
from torch.nn.functional import scaled_dot_product_attention
from transforming import (
    FORWARD_MODE_WARNS,
    as_function,
    assert_every_derivative,
    assert_vmap,
    stacked,
)

from metann import functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
each_way = pytest.mark.parametrize("way", WAYS, ids=str)


# ── our form ─────────────────────────────────────────────────────────────────────────────────


@each_way
def test_outside_of_transforms_it_is_torchs(way: Attending) -> None:
    tensors, arguments = way.tensors(), way.arguments()

    ours = functional.scaled_dot_product_attention(*tensors, **arguments)

    assert torch.equal(ours, F.scaled_dot_product_attention(*tensors, **arguments))


@each_way
def test_under_vmap_it_gives_torchs_numbers(way: Attending) -> None:
    batches, arguments = stacked(way.tensors()), way.arguments()

    together = torch.vmap(
        lambda *tensors: functional.scaled_dot_product_attention(*tensors, **arguments)
    )(*batches)

    for index, output in enumerate(together):
        expected = F.scaled_dot_product_attention(*(b[index] for b in batches), **arguments)
        torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)


@each_way
def test_each_derivative_is_that_of_finite_differences(way: Attending) -> None:
    arguments = way.arguments()

    assert_every_derivative(
        lambda *tensors: functional.scaled_dot_product_attention(*tensors, **arguments),
        way.tensors(),
    )


@pytest.mark.parametrize("shape", [(3, 5), (2, 1, 3, 5), (2, 4, 1, 5), (2, 4, 3, 5)], ids=str)
def test_a_mask_may_be_differentiated(shape: tuple[int, ...]) -> None:
    tensors = [*WAYS[0].tensors(), torch.randn(shape)]

    assert_every_derivative(functional.scaled_dot_product_attention, tensors)


def test_a_mask_may_be_batched() -> None:
    tensors = [*stacked(WAYS[0].tensors()), torch.randn(2, 3, 5)]

    assert_vmap(functional.scaled_dot_product_attention, tensors)


def test_vmaps_nest() -> None:
    tensors = [torch.randn(2, 3, *tensor.shape) for tensor in WAYS[0].tensors()]
    inner = torch.vmap(functional.scaled_dot_product_attention)

    assert_vmap(inner, tensors)


@pytest.mark.parametrize("keys", [0, 2])
def test_no_keys_and_no_width(keys: int) -> None:
    tensors = [torch.randn(2, 1, 3, 0), torch.randn(2, 1, keys, 0), torch.randn(2, 1, keys, 4)]

    assert_vmap(functional.scaled_dot_product_attention, tensors)


# ── dropout ──────────────────────────────────────────────────────────────────────────────────


def _dropped(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(query, key, value, dropout_p=0.5)


def test_dropout_draws_what_torch_draws() -> None:
    tensors = tuple(WAYS[0].tensors())

    torch.manual_seed(1)
    ours, _ = torch.func.jvp(_dropped, tensors, tensors)

    torch.manual_seed(1)
    expected = F.scaled_dot_product_attention(*tensors, dropout_p=0.5)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("randomness", "same"), [("same", True), ("different", False)])
def test_dropout_under_vmap_is_as_its_randomness_says(randomness: str, same: bool) -> None:
    tensors = [tensor.expand(2, *tensor.shape) for tensor in WAYS[0].tensors()]

    first, second = torch.vmap(_dropped, randomness=randomness)(*tensors)

    assert torch.equal(first, second) is same


# ── less than float64 ────────────────────────────────────────────────────────────────────────


def _under_jvp(*tensors: Tensor, **arguments: Any) -> Tensor:
    """The form in plain operations."""
    output, _ = torch.func.jvp(
        lambda *given: functional.scaled_dot_product_attention(*given, **arguments),
        tensors,
        tensors,
    )
    return output


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_rounded_only_at_the_end(dtype: torch.dtype) -> None:
    tensors = [tensor.to(dtype) for tensor in WAYS[0].tensors()]
    precise = F.scaled_dot_product_attention(*(tensor.double() for tensor in tensors))

    ours = _under_jvp(*tensors)

    assert ours.dtype is dtype
    torch.testing.assert_close(ours.double(), precise, rtol=torch.finfo(dtype).eps, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_lowers_the_arguments_and_nothing_else(dtype: torch.dtype) -> None:
    tensors = [tensor.float() for tensor in WAYS[0].tensors()]
    mask = torch.randn(3, 5, dtype=torch.float32)

    with torch.autocast("cpu", dtype):
        ours = _under_jvp(*tensors, attn_mask=mask)
        torchs = F.scaled_dot_product_attention(*tensors, mask)

    by_hand = _under_jvp(*(tensor.to(dtype) for tensor in tensors), attn_mask=mask.to(dtype))
    assert torch.equal(ours, by_hand)
    assert ours.dtype is torchs.dtype
    bound = torch.finfo(dtype).eps
    torch.testing.assert_close(ours, torchs, rtol=bound, atol=bound)


def test_autocast_leaves_float64_and_masks_of_bool() -> None:
    tensors, mask = WAYS[0].tensors(), torch.tensor([[True, False, True, True, False]])

    with torch.autocast("cpu", torch.bfloat16):
        ours = _under_jvp(*tensors, attn_mask=mask)
        torchs = F.scaled_dot_product_attention(*tensors, mask)

    torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)


def test_a_mask_may_be_more_precise_than_the_queries() -> None:
    tensors = [tensor.bfloat16() for tensor in WAYS[0].tensors()]
    mask = torch.randn(3, 5, dtype=torch.float32)

    ours = _under_jvp(*tensors, attn_mask=mask)

    expected = F.scaled_dot_product_attention(*tensors, mask)
    bound = torch.finfo(torch.bfloat16).eps
    torch.testing.assert_close(ours, expected, rtol=bound, atol=bound)


# ── in a user's own module ───────────────────────────────────────────────────────────────────


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(4, 12, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(*self._heads(x), is_causal=True)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.project(x).unflatten(-1, (6, 2)).transpose(-2, -3).chunk(3, dim=-3)


class AttendsByName(Attends):
    def forward(self, x: Tensor) -> Tensor:
        return scaled_dot_product_attention(*self._heads(x), is_causal=True)


class HasHeads(Attends):
    """Calls torch's function for several heads, without torch's module for it."""

    def forward(self, x: Tensor) -> Tensor:
        weight, identity = self.project.weight, torch.eye(4)
        x = x.transpose(0, 1)
        return F.multi_head_attention_forward(
            *(x, x, x, 4, 2, weight, None, None, None, False, 0.0, identity, None),
            need_weights=False,
        )[0]


@pytest.mark.parametrize("kind", [Attends, AttendsByName, HasHeads])
def test_T57_users_own_attention_has_every_derivative(kind: type[Attends]) -> None:
    function, weights = as_function(kind(), training=True)

    assert_every_derivative(function, [*weights, torch.randn(2, 3, 4)])


@pytest.mark.parametrize("kind", [Attends, AttendsByName, HasHeads])
def test_users_own_attention_is_batched(kind: type[Attends]) -> None:
    function, weights = as_function(kind(), training=True)

    assert_vmap(function, stacked([*weights, torch.randn(2, 3, 4)]))


def test_jacobians_and_hessians_of_torch_func() -> None:
    function, weights = as_function(Attends(), training=True)
    x = torch.randn(1, 3, 4)

    def loss(weight: Tensor) -> Tensor:
        return function(weight, x).square().sum()

    by_rows = torch.func.jacrev(torch.func.jacrev(loss))(*weights)
    by_columns = torch.func.hessian(loss)(*weights)
    expected = torch.autograd.functional.hessian(loss, *weights)

    torch.testing.assert_close(by_rows, expected, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(by_columns, expected, rtol=1e-11, atol=1e-12)

"""Packing and padding: torch's numbers, under every transform, in functions and in modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from recurring import KINDS, Recurring, Speaking
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from transforming import FORWARD_MODE_WARNS, as_function, assert_every_derivative, assert_vmap

from metann import functional
from metann.errors import ArgumentError
from metann.functional.replacing import Replacing

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
LENGTHS = [4, 2, 2, 1]
each_order = pytest.mark.parametrize("batch_first", [False, True])


def there_and_back(batch_first: bool) -> Callable[[Tensor], Tensor]:
    """Packs, changes, and pads again, by torch's names."""

    def function(padded: Tensor) -> Tensor:
        packed = pack_padded_sequence(padded, [2, 4, 1, 2], batch_first, enforce_sorted=False)
        changed = packed._replace(data=packed.data.sin())
        return pad_packed_sequence(changed, batch_first, padding_value=0.5, total_length=6)[0]

    return function


def ours(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a functional call would run it."""

    def replaced(*args: Any) -> Any:
        with Replacing():
            return function(*args)

    return replaced


def padded_sequences(batch_first: bool, *batch: int) -> Tensor:
    """Longer than the longest of them."""
    return torch.randn(*batch, *((4, 5) if batch_first else (5, 4)), 3)


# ── functions ────────────────────────────────────────────────────────────────────────────────


@each_order
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64], ids=str)
def test_under_vmap_packing_gives_torchs_numbers(batch_first: bool, dtype: torch.dtype) -> None:
    batch, lengths = (10 * padded_sequences(batch_first, 2)).to(dtype), torch.tensor(LENGTHS)

    def pack(padded: Tensor) -> tuple[Tensor, Tensor]:
        return functional.pack_padded_sequence(padded, lengths, batch_first)

    data, sizes = torch.vmap(pack, out_dims=(0, None))(batch)

    for index in range(2):
        expected = pack_padded_sequence(batch[index], LENGTHS, batch_first)
        assert torch.equal(data[index], expected.data)
        assert torch.equal(sizes, expected.batch_sizes)


@each_order
@pytest.mark.parametrize("total_length", [4, 6])
def test_under_vmap_padding_gives_torchs_numbers(batch_first: bool, total_length: int) -> None:
    sizes, batch = torch.tensor([4, 3, 1, 1]), torch.randn(2, 9, 3)

    def pad(data: Tensor) -> tuple[Tensor, Tensor]:
        return functional.pad_packed_sequence(data, sizes, batch_first, 0.5, total_length)

    padded, lengths = torch.vmap(pad, out_dims=(0, None))(batch)

    for index in range(2):
        packed = nn.utils.rnn.PackedSequence(batch[index], sizes)
        expected = pad_packed_sequence(packed, batch_first, 0.5, total_length)
        assert torch.equal(padded[index], expected[0])
        assert torch.equal(lengths, expected[1])


@each_order
@pytest.mark.parametrize("side", ["left", "right"])
def test_under_vmap_sequences_are_padded_as_by_torch(batch_first: bool, side: str) -> None:
    def pad(*sequences: Tensor) -> Tensor:
        return functional.pad_sequence(sequences, batch_first, 0.5, side)

    assert_vmap(pad, [torch.randn(2, length, 3) for length in (1, 4, 2)])


def test_outside_of_transforms_they_are_torchs() -> None:
    padded, lengths = padded_sequences(False), torch.tensor(LENGTHS)
    expected = pack_padded_sequence(padded, lengths)

    data, sizes = functional.pack_padded_sequence(padded, lengths, False)
    back, known = functional.pad_packed_sequence(data, sizes, False, 0.0, 4)

    assert torch.equal(data, expected.data)
    assert torch.equal(back, pad_packed_sequence(expected)[0])
    assert torch.equal(known, lengths)
    assert torch.equal(functional.pad_sequence([data, back[0]]), pad_sequence([data, back[0]]))


@each_order
def test_each_derivative_is_that_of_finite_differences(batch_first: bool) -> None:
    assert_every_derivative(ours(there_and_back(batch_first)), [padded_sequences(batch_first)])


@each_order
@pytest.mark.parametrize("transform", [torch.func.jacrev, torch.func.jacfwd])
def test_jacobians_are_those_of_reverse_mode(batch_first: bool, transform: Any) -> None:
    function, padded = there_and_back(batch_first), padded_sequences(batch_first)

    found = transform(ours(function))(padded)

    torch.testing.assert_close(found, torch.autograd.functional.jacobian(function, padded))


def test_sizes_from_packing_inside_a_transform_go_into_a_layer_there() -> None:
    params = list(Recurring("gru").layer().parameters())

    def function(padded: Tensor) -> Tensor:
        packed = pack_padded_sequence(padded, [3, 1])
        return functional.gru(packed.data, packed.batch_sizes, None, params)[1].sum()

    batch = torch.randn(2, 3, 2, 3)
    gradients = torch.vmap(torch.func.grad(ours(function)))(batch)

    for index in range(2):
        leaf = batch[index].clone().requires_grad_()
        (expected,) = torch.autograd.grad(function(leaf), leaf)
        torch.testing.assert_close(gradients[index], expected)


# ── what is wrong ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lengths", [[1, 2], [2, 0], [2]], ids=str)
def test_wrong_lengths_are_torchs_error(lengths: list[int]) -> None:
    padded = torch.randn(3, 2, 3)
    with pytest.raises(RuntimeError) as torchs:
        pack_padded_sequence(padded, lengths)

    with pytest.raises(RuntimeError) as found:
        torch.vmap(ours(lambda x: pack_padded_sequence(x, lengths).data))(padded[None])

    assert str(found.value).splitlines()[0] == str(torchs.value).splitlines()[0]


def test_lengths_that_differ_within_a_vmap_are_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"Give all of them the same lengths"):
        torch.vmap(lambda x, n: functional.pack_padded_sequence(x, n, False)[0])(
            torch.randn(2, 3, 2, 3), torch.tensor([[3, 2], [3, 1]])
        )


# ── modules that pack ────────────────────────────────────────────────────────────────────────

PACKING = pytest.mark.parametrize(
    "way", [Recurring(kind, batch_first=True, lengths=(3, 1)) for kind in KINDS], ids=str
)
EACH_SORTING = pytest.mark.parametrize("is_sorted", [True, False])


@PACKING
@EACH_SORTING
def test_a_net_that_packs_under_vmap_over_weights(way: Recurring, is_sorted: bool) -> None:
    function, weights = as_function(Speaking(way, is_sorted), True)
    batch = [torch.randn(2, *weight.shape) for weight in (*weights, way.padded())]

    assert_vmap(function, batch)


@PACKING
def test_each_derivative_of_a_net_that_packs(way: Recurring) -> None:
    function, weights = as_function(Speaking(way), True)

    assert_every_derivative(function, [*weights, way.padded()])


@PACKING
@EACH_SORTING
@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.jacrev, torch.func.jacfwd])
def test_a_net_that_packs_in_reverse_and_forward_mode(
    way: Recurring, is_sorted: bool, transform: Any
) -> None:
    function, weights = as_function(Speaking(way, is_sorted), True)
    leaves, padded = [weight.clone().requires_grad_() for weight in weights], way.padded()

    found = transform(lambda ws: function(*ws, padded).square().sum())(weights)

    expected = torch.autograd.grad(function(*leaves, padded).square().sum(), leaves)
    torch.testing.assert_close(list(found), list(expected))

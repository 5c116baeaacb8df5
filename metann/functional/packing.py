"""Packing sequences of several lengths, and padding them.

The lengths of packed sequences are a tensor, which torch's kernels read as numbers. No transform
of torch.func lets them, reverse mode included: there, sequences are cut and joined instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import rnn

from metann.errors import ArgumentError
from metann.functional.transforms import (
    in_any_transform,
    outside_functorch,
    plain_form_is_needed,
    unwrapped,
)

_torch: Any = torch


def numbers(sizes: Tensor) -> list[int]:
    """What a tensor of sizes or lengths says, also inside transforms.

    Raises:
        ArgumentError: it says something else for each element of a vmap.
    """
    values: Any = unwrapped(sizes)
    if values.dim() != sizes.dim():
        raise ArgumentError(
            "the lengths of packed sequences are batched by torch.vmap, so that each of its "
            "elements would have another shape. Give all of them the same lengths."
        )
    listed: list[int] = values.tolist()
    return listed


def pack_padded_sequence(
    input: Tensor, lengths: Tensor, batch_first: bool
) -> tuple[Tensor, Tensor]:
    """Entries of padded sequences, the first ones of all sequences first, without the padding.

    Args:
        input: shape (L, N, *), or (N, L, *) if `batch_first`; the longest sequence first.
        lengths: shape (N,).
        batch_first: as said at `input`.

    Returns:
        the entries, (total, *), and how many sequences have one at each time, (L,).

    Raises:
        ArgumentError: inside torch.vmap `lengths` differ from element to element.

    Source: torch._pack_padded_sequence, which torch.nn.utils.rnn.pack_padded_sequence calls.
    """
    if not in_any_transform():
        packed: tuple[Tensor, Tensor] = _torch._pack_padded_sequence(input, lengths, batch_first)
        return packed
    known = numbers(lengths)
    with outside_functorch():
        # torch finds out the sizes, and whether the arguments are right.
        shape_alone = torch.empty(*input.shape[:2], 1, device="cpu")
        values = torch.tensor(known, device="cpu")
        sizes = _torch._pack_padded_sequence(shape_alone, values, batch_first)[1]
    # There may be more times than the longest sequence has.
    times = zip(input.unbind(1 if batch_first else 0), numbers(sizes), strict=False)
    return torch.cat([time[:size] for time, size in times]), sizes


def pad_packed_sequence(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Tensor, Tensor]:
    """Packed sequences, padded to one length; and how long each is.

    Args:
        data: shape (total, *).
        batch_sizes: how many sequences have an entry at each time, shape (L,).
        batch_first: the result is (N, total_length, *) instead.
        padding_value: what the padding consists of.
        total_length: L at least.

    Returns:
        shape (total_length, N, *), and lengths of shape (N,).

    Raises:
        ArgumentError: inside torch.vmap `batch_sizes` differ from element to element.

    Source: torch._pad_packed_sequence, which torch.nn.utils.rnn.pad_packed_sequence calls.
    """
    if not in_any_transform():
        options = (batch_first, padding_value, total_length)
        found: tuple[Tensor, Tensor] = _torch._pad_packed_sequence(data, batch_sizes, *options)
        return found
    sizes = numbers(batch_sizes)
    rows = torch.split(data, sizes)
    times = torch.stack([_filled_up(row, sizes[0], padding_value) for row in rows])
    padded = _filled_up(times, total_length, padding_value)
    lengths = [sum(size > place for size in sizes) for place in range(sizes[0])]
    output = padded.transpose(0, 1) if batch_first else padded
    return output, torch.tensor(lengths, device="cpu")


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences, padded to the length of the longest.

    Args:
        sequences: shapes (length, *).
        batch_first: the result is (N, L, *) instead.
        padding_value: what the padding consists of.
        padding_side: where it comes: "right" or "left".

    Returns:
        shape (L, N, *).

    Source: torch.nn.utils.rnn.pad_sequence.
    """
    if not plain_form_is_needed():
        return rnn.pad_sequence([*sequences], batch_first, padding_value, padding_side)
    longest = max(map(len, sequences))
    is_left = padding_side == "left"
    padded = [_filled_up(sequence, longest, padding_value, is_left) for sequence in sequences]
    return torch.stack(padded, 0 if batch_first else 1)


def _filled_up(tensor: Tensor, length: int, value: float, at_front: bool = False) -> Tensor:
    """The tensor with more rows, to have so many in all."""
    more = (length - len(tensor), 0) if at_front else (0, length - len(tensor))
    return (
        F.pad(tensor, (*(0, 0) * (tensor.dim() - 1), *more), value=value) if any(more) else tensor
    )

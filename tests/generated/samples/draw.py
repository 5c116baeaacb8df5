"""The values that samples are made of: random, float64 by default dtype, never zero.

A tensor drawn with `grad=True`, the default of the real-valued ones, is a leaf whose gradient the
tests compare.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from samples.sample import Given, Later, made


def normal(*shape: int, grad: bool = True) -> Later:
    """Normal numbers at least 0.1 away from zero, where many layers have a kink."""

    def make(generator: torch.Generator) -> Tensor:
        drawn = torch.randn(shape, generator=generator)
        return (drawn + 0.1 * drawn.sign()).requires_grad_(grad)

    return Later(make, f"normal{shape}")


def uniform(*shape: int, low: float = 0.1, high: float = 0.9, grad: bool = True) -> Later:
    """Numbers between `low` and `high`."""

    def make(generator: torch.Generator) -> Tensor:
        drawn = torch.rand(shape, generator=generator)
        return (low + (high - low) * drawn).requires_grad_(grad)

    return Later(make, f"uniform{shape}")


def integers(*shape: int, below: int, low: int = 0) -> Later:
    """Whole numbers, at least `low` and less than `below`: classes, indices."""
    return Later(lambda generator: torch.randint(low, below, shape, generator=generator))


def signs(*shape: int) -> Later:
    """1.0 or -1.0, as the ranking losses want their targets; both occur, alternating."""

    def make(_: torch.Generator) -> Tensor:
        count = torch.Size(shape).numel()
        return (1.0 - 2.0 * (torch.arange(count) % 2)).reshape(shape)

    return Later(make)


def log_probabilities(*shape: int, dim: int, grad: bool = True) -> Later:
    """Logarithms of distributions along `dim`."""

    def make(generator: torch.Generator) -> Tensor:
        drawn = torch.randn(shape, generator=generator).log_softmax(dim)
        return drawn.requires_grad_(grad)

    return Later(make)


def probabilities(*shape: int, dim: int, grad: bool = False) -> Later:
    """Distributions along `dim`."""

    def make(generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator).softmax(dim).requires_grad_(grad)

    return Later(make)


def constant(values: Any) -> Later:
    """A tensor with these values: whole numbers give int64, others the default dtype."""
    return Later(lambda _: torch.tensor(values), f"constant({values})")


def parameter(*shape: int) -> Later:
    """A Parameter, for the containers of parameters."""
    return Later(lambda g: nn.Parameter(torch.randn(shape, generator=g)), f"parameter{shape}")


def built(make: Callable[..., Any], *args: Any, **kwargs: Any) -> Later:
    """What `make(*args, **kwargs)` returns, called anew for each use of the sample."""
    name = getattr(make, "__name__", "built")
    text = f"{name}({Given(args, kwargs)})"
    return Later(lambda generator: make(*made(args, generator), **made(kwargs, generator)), text)


def packed(features: int, lengths: list[int], enforce_sorted: bool = True) -> Later:
    """A packed sequence whose data require gradients."""

    def make(generator: torch.Generator) -> PackedSequence:
        padded = torch.randn(max(lengths), len(lengths), features, generator=generator)
        plain = pack_padded_sequence(padded, lengths, enforce_sorted=enforce_sorted)
        return plain._replace(data=plain.data.clone().requires_grad_())

    return Later(make)

"""What is slower for all tasks at once than for one after the other."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from math import prod

from torch import Tensor

# Entries in the output of a convolution for one task: 1 MiB in float32, what a core's cache holds.
# Measured: time of all tasks at once as a multiple of that of a loop over tasks; one inner step of
# second order and the meta-gradient, four blocks of 3x3 convolution, batch norm, ReLU and pooling,
# 28x28 pixels (with 14: two blocks), one thread of an AMD EPYC, time of the processor.
#
#   entries a task   channels, examples   4 tasks   32 tasks
#           31 000     8,   5              0.55       0.26
#           78 000    16,  25 (14x14)      0.84       0.95
#          125 000    32,   5              0.81       0.81
#          157 000     8,  25              0.75       0.82
#          157 000    32,  25 (14x14)      0.94       1.15
#          251 000    64,   5              0.92       1.09
#          314 000    16,  25              0.97       1.70
#          627 000    32,  25              1.09       1.94
#        1 254 000    64,  25              1.20       1.92
LARGEST = 2**18


class SlowerAtOnceError(Exception):
    """An operation is faster in a loop over tasks; never leaves metann."""


class _Asked(threading.local):
    """Whether whoever called this thread's vmap would rather loop than wait."""

    is_asked: bool = False


_asked = _Asked()


@contextmanager
def asking() -> Generator[None, None, None]:
    """Within it, what is slower for all tasks at once raises `SlowerAtOnceError`."""
    before, _asked.is_asked = _asked.is_asked, True
    try:
        yield
    finally:
        _asked.is_asked = before


def ask_about_convolution(input: Tensor, weight: Tensor, stride: int | Sequence[int]) -> None:
    """Raise if one call a task is faster, and that was asked.

    Args:
        input: of one task, shape (N, C, *sizes).
        weight: of one task, shape (out, C / groups, *sizes).
        stride: of the convolution.

    Raises:
        SlowerAtOnceError: it is.
    """
    if not _asked.is_asked or input.device.type != "cpu":
        return
    strides = [stride] * (input.dim() - 2) if isinstance(stride, int) else stride
    entries = input.shape[0] * weight.shape[0] * prod(input.shape[2:]) // prod(strides)
    if entries > LARGEST:
        raise SlowerAtOnceError(
            f"a convolution gives {entries} numbers for each, and for more than {LARGEST} that is "
            "faster on the CPU"
        )

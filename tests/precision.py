"""What tests of numbers run in: float64, one thread, a seed of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def double_precision_on_one_thread(seed: int | None = None) -> Iterator[None]:
    """Leave torch's settings as they were before; without a seed, its generator too.

    The tensors are tiny: threads of several test processes would only wait for each other.
    """
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    if seed is not None:
        torch.manual_seed(seed)
    yield
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])

"""One thread for every test: others run beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def dice() -> torch.Generator:
    """A generator that starts the same for every test."""
    return torch.Generator().manual_seed(0)

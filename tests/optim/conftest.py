"""float64 on one thread, with a seed for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from precision import double_precision_on_one_thread


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    with double_precision_on_one_thread(seed=0):
        yield

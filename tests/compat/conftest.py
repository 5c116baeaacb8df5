"""Every test here runs in float64, on one thread, from a seed of its own."""

from collections.abc import Iterator

import pytest
from precision import double_precision_on_one_thread


@pytest.fixture(autouse=True)
def _double_precision_on_one_thread() -> Iterator[None]:
    with double_precision_on_one_thread(seed=6):
        yield

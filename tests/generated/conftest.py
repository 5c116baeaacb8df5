"""Every test here runs in float64, so that 1e-12 is a difference and not rounding."""

from collections.abc import Iterator

import pytest
from precision import double_precision_on_one_thread


@pytest.fixture(autouse=True)
def _double_precision_on_one_thread() -> Iterator[None]:
    with double_precision_on_one_thread():
        yield

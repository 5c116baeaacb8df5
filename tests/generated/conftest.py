"""Every test here runs in float64, so that 1e-12 is a difference and not rounding."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _double_precision_on_one_thread() -> Iterator[None]:
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    # The tensors are tiny: threads of several test processes would only wait for each other.
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])

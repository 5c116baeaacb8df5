"""Every test here on one thread, and torch's settings as they were afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from repository import REPOSITORY


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The nets are tiny: threads of several test processes would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs in examples/ can be imported by their names."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "examples"))

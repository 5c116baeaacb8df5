"""The programs of benchmarks/ import each other by their bare names, as when they are run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from repository import REPOSITORY


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder is on the path, and torch has its threads back afterwards."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)

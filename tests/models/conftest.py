"""Every test here runs in float64, on one thread, from a seed of its own, and offline."""

from collections.abc import Iterator

import pytest
from precision import double_precision_on_one_thread


@pytest.fixture(autouse=True)
def _double_precision_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with double_precision_on_one_thread(seed=20):
        yield


def pytest_configure(config: pytest.Config) -> None:
    """`transformers` imports torchvision, whose compiled part goes with another torch."""
    ignored = "ignore:Failed to load image Python extension:UserWarning"
    config.addinivalue_line("filterwarnings", ignored)

"""The wheel, for the folders of tests that install it; and what saves all tests time."""

from __future__ import annotations

import gc
import os

import pytest
from packaged import Archives, build


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """The source archive and the wheel of this checkout."""
    return build(tmp_path_factory.mktemp("build"))


def pytest_configure() -> None:
    """One thread in a process, before torch is loaded, and in those that the tests start.

    The tensors are tiny: threads of several processes would only wait for each other.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """What is there before the first test stays until the last.

    That is torch and ten thousand tests; to look through them each time that Python collects
    garbage took a fifth of all time. Garbage of the tests is found as before.
    """
    gc.collect()
    gc.freeze()

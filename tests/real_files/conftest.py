"""Every test here runs in float64, on one thread, from a seed of its own, and offline."""

from collections.abc import Iterator

import pytest
from every_file import FILES
from outputs import Outputs
from precision import double_precision_on_one_thread


@pytest.fixture(autouse=True)
def _double_precision_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with double_precision_on_one_thread(seed=20):
        yield


@pytest.fixture(scope="session")
def _all_outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    return Outputs(FILES, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def outputs(_all_outputs: Outputs) -> Iterator[Outputs]:
    """What the command writes; its counterparts are registered for the tests of one file only."""
    yield _all_outputs
    _all_outputs.forget()

"""Every test here runs in float64, on one thread, from a seed of its own, and offline."""

from collections.abc import Iterator

import pytest
import torch
from every_file import FILES
from outputs import Outputs


@pytest.fixture(autouse=True)
def _double_precision_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.manual_seed(20)
    yield
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])


@pytest.fixture(scope="session")
def _all_outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    return Outputs(FILES, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def outputs(_all_outputs: Outputs) -> Iterator[Outputs]:
    """What the command writes; its counterparts are registered for the tests of one file only."""
    yield _all_outputs
    _all_outputs.forget()

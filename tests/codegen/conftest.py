"""What the tests of the generator share."""

from __future__ import annotations

import pytest

from metann.codegen.library import Library, find_torch, read_torch
from metann.codegen.model import LibraryPlan
from metann.codegen.plan import plan_library


@pytest.fixture(scope="session")
def torch_library() -> Library:
    """The installed torch, read once."""
    return read_torch(find_torch())


@pytest.fixture(scope="session")
def torch_plan(torch_library: Library) -> LibraryPlan:
    """What is written of the installed torch."""
    return plan_library(torch_library)

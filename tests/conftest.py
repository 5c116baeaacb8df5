"""The wheel, for the folders of tests that install it."""

from __future__ import annotations

import pytest
from packaged import Archives, build


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """The source archive and the wheel of this checkout."""
    return build(tmp_path_factory.mktemp("build"))

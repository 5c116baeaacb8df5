"""The assertions of this folder's helpers show what differs."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("before_after")

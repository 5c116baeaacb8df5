"""torch's own database of modules, read without its traces on this process."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock
from unittest.mock import Mock

import hypothesis
import torch


@cache
def entries() -> dict[str, Any]:
    """Every `ModuleInfo` of `torch.testing._internal.common_modules.module_db`, by its name."""
    with _without_traces():
        database = import_module("torch.testing._internal.common_modules").module_db
    found = {info.name: info for info in database}
    if len(found) != len(database):
        raise AssertionError("two entries of one name: only one of them would be tested")
    return found


@contextmanager
def _without_traces() -> Iterator[None]:
    """What importing `torch.testing._internal` changes for every other test, put back.

    It reads the command line, loads a profile of hypothesis, sets a variable of the environment,
    and forbids to set the flags of `torch.backends`.
    """
    profile = hypothesis.settings.get_current_profile_name()
    with (
        mock.patch.object(sys, "argv", sys.argv[:1]),
        mock.patch.dict(os.environ),
        mock.patch.object(torch.backends, "disable_global_flags", Mock()),
        warnings.catch_warnings(),
    ):
        yield
    hypothesis.settings.load_profile(profile)

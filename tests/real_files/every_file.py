"""All the files of the packages that are installed, and the marks that run a test on them."""

from __future__ import annotations

import importlib.util

import files_of_others
import files_of_torch
import files_of_transformers
import files_of_vision
import pytest
from real_files import RealFile


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


ALL: tuple[RealFile, ...] = (
    *files_of_torch.FILES,
    *files_of_vision.FILES,
    *files_of_transformers.FILES,
    *files_of_others.FILES,
)
NEEDED = dict.fromkeys(name for file in ALL for name in (file.package, *file.needs))
MISSING = tuple(name for name in NEEDED if not _is_installed(name))
FILES = tuple(file for file in ALL if not {file.package, *file.needs} & {*MISSING})
PACKAGES = tuple(dict.fromkeys(file.package for file in FILES))
_MODELS = {
    f"{file.module}: {name}": (file, model) for file in FILES for name, model in file.models.items()
}
_TWICE = {name: pair for name, pair in _MODELS.items() if pair[1].twice}

each_package = pytest.mark.parametrize("package", PACKAGES)
each_file = pytest.mark.parametrize("file", FILES, ids=[file.module for file in FILES])
each_model = pytest.mark.parametrize(("file", "model"), _MODELS.values(), ids=_MODELS)
each_small_model = pytest.mark.parametrize(("file", "model"), _TWICE.values(), ids=_TWICE)
both_modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])

"""Which torch this is, read from torch/version.py without executing it."""

from __future__ import annotations

from pathlib import Path

import libcst as cst

from metann.codegen.errors import CodegenError
from metann.codegen.syntax import statements_of, text_of


def read_version(path: Path) -> str:
    """The version without the build: another build has the same sources.

    Example: a file with `__version__ = "2.13.0+cpu"` -> "2.13.0"
    """
    for node in statements_of(cst.parse_module(path.read_text(encoding="utf-8")).body):
        if not isinstance(node, cst.Assign) or text_of(node.targets[0].target) != "__version__":
            continue
        if isinstance(node.value, cst.SimpleString):
            return str(node.value.evaluated_value).partition("+")[0]
    raise CodegenError(f"Asked for torch's version, but {path} assigns no `__version__` string.")

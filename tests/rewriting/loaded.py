"""Model files, and what becomes of them, as imported modules."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from before_after import rewritten
from torch import Tensor, nn

from metann import DependentModule

MODELS = Path(__file__).parent / "user_models"
NAMES = [path.stem for path in sorted(MODELS.glob("*.py")) if path.stem != "__init__"]


@dataclass(frozen=True)
class Both:
    """A model as its file makes it, its dependent version, and inputs; all of one seed."""

    plain: nn.Module
    dependent: DependentModule
    inputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Files:
    """A model file, and its dependent version."""

    plain: Any
    dependent: Any

    def make(self, make: str = "example", dtype: torch.dtype = torch.float64) -> Both:
        """Make both models, after the same seed."""
        plain, inputs = seeded(getattr(self.plain, make))
        dependent, _ = seeded(getattr(self.dependent, make))
        inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
        return Both(plain.to(dtype), dependent.to(dtype), inputs)


def seeded(make: Callable[[], Any]) -> Any:
    torch.manual_seed(0)
    return make()


def load(path: Path, name: str) -> Any:
    """Import a file under this name, under which it can be pickled, too."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_both(path: Path, folder: Path, module: str, name: str, plain: Any = None) -> Files:
    """Import a file, unless it is given, and its dependent version, written into a folder."""
    new = folder / f"dependent_{name}.py"
    text = path.read_text(encoding="utf-8")
    new.write_text(rewritten(text, module=module, keep_relative_imports=False).text, "utf-8")
    dependent = load(new, f"dependent_{name}")
    return Files(plain or load(path, f"plain_{name}"), dependent)

"""`metann-generate` as its users run it, in a process of its own, and what it writes, imported."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import operator
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from unittest import mock

from real_files import RealFile
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
# The entry point of the command; at its end it says what it has imported.
COMMAND = """\
import json, pathlib, sys
report = pathlib.Path(sys.argv.pop(1))
from metann.codegen.cli import main
try:
    main()
finally:
    report.write_text(json.dumps(sorted(sys.modules)))
"""


@dataclass(frozen=True)
class Written:
    """What one run has written for the files of a package, and which modules it had imported."""

    folder: Path
    imported: frozenset[str]

    def path(self, file: RealFile) -> Path:
        return self.folder / f"dependent_{file.name}.py"


@dataclass
class Outputs:
    """What the command writes for each package; it is run when that is first asked for."""

    files: tuple[RealFile, ...]
    folder: Path
    _runs: dict[tuple[str, bool], Written] = field(default_factory=dict)
    _modules: dict[Path, ModuleType] = field(default_factory=dict)

    def of(self, package: str, *, rewritten: bool = False) -> Written:
        """What is written for all files of a package."""
        if (package, rewritten) not in self._runs:
            folder = self.folder / ("rewritten" if rewritten else "counterparts") / package
            targets = [file.module for file in self.files if file.package == package]
            self._runs[package, rewritten] = run(targets, folder, rewritten)
        return self._runs[package, rewritten]

    def counterparts(self, file: RealFile) -> ModuleType:
        """The counterparts of the classes of a file, imported and thus registered."""
        return self._module(file, self.of(file.package).path(file), "counterparts")

    def rewritten(self, file: RealFile) -> ModuleType:
        """The dependent version of a file, imported."""
        path = self.of(file.package, rewritten=True).path(file)
        with empty(file.takes_names_once):
            return self._module(file, path, "rewritten")

    def forget(self) -> None:
        """Take the counterparts back, for the other tests of this process."""
        for module in self._modules.values():
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and issubclass(kind, nn.Module):
                    with contextlib.suppress(AttributeError):
                        type.__delattr__(kind, "_metann_counterpart")
        self._modules.clear()

    def _module(self, file: RealFile, path: Path, kind: str) -> ModuleType:
        if path not in self._modules:
            file.original()
            self._modules[path] = load(path, f"{kind}_{file.module.replace('.', '_')}")
        return self._modules[path]


def run(targets: list[str], folder: Path, rewritten: bool) -> Written:
    """Write files for these modules into a folder, from a folder where nothing else is."""
    folder.mkdir(parents=True)
    report = folder / "imported.json"
    options = ["-o", f"{folder}{os.sep}", *(["--rewrite"] if rewritten else [])]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(report), *targets, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Written(folder, frozenset(json.loads(report.read_text())))


def load(path: Path, name: str) -> ModuleType:
    """Import a file under this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A rewritten file warns of what the original does.
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def empty(table: str) -> Iterator[None]:
    """Empty a dictionary, given by its dotted name, for a while; "" is none."""
    if not table:
        yield
        return
    module, _, name = table.rpartition(".")
    known = operator.attrgetter(name)(importlib.import_module(module))
    with mock.patch.dict(known, clear=True):
        yield

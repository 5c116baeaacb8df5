"""A user's file, and the others it leads to -> one library; nothing is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from typing_extensions import override

from metann.codegen.errors import CodegenError
from metann.codegen.library import Library
from metann.codegen.source import SourceClass, SourceFile
from metann.codegen.users.locate import Target
from metann.codegen.users.outline import UserFile, read_outline
from metann.codegen.users.search import find_module
from metann.codegen.users.texts import no_python, read_text

# No layer is defined in these; the first is long, and the second no source file.
_NEVER_READ = ("torch", "torch._C")


class Files(Mapping[str, SourceFile]):
    """The files of torch and the user's, and any other, read when it is first asked for."""

    def __init__(self, known: Mapping[str, SourceFile], roots: Sequence[Path] = ()) -> None:
        self._read: dict[str, SourceFile | None] = dict(known)
        self._roots = roots
        self._texts: dict[str, str] = {}
        self.problems: dict[str, CodegenError] = {}

    def __getitem__(self, module: str) -> SourceFile:
        if module not in self._read:
            self._read[module] = self._read_if_possible(module)
        found = self._read[module]
        if found is None:
            raise KeyError(module)
        return found

    def __iter__(self) -> Iterator[str]:
        return (module for module, file in self._read.items() if file is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def may_define(self, module: str, name: str) -> bool:
        """Whether a module that is not read yet is worth it for the sake of one name."""
        if module in self._read:
            return self._read[module] is not None
        if module not in self._texts:
            path = None if _is_never_read(module) else find_module(module, self._roots)
            self._texts[module] = "" if path is None else _text_of(path)
        text = self._texts[module]
        return name in text or "import *" in text

    def _read_if_possible(self, module: str) -> UserFile | None:
        """The file of a module that the user's leads to; without it less is known, no more."""
        if _is_never_read(module):
            return None
        path = find_module(module, self._roots)
        try:
            return None if path is None else _read(module, path)
        except CodegenError as error:
            self.problems[module] = error
            return None


def _is_never_read(module: str) -> bool:
    is_pythons = module.split(".")[0] in sys.stdlib_module_names
    return not module or module in _NEVER_READ or is_pythons


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except CodegenError:
        return ""


class UserLibrary(Library):
    """A library that reads files when they are needed; of a package that is all stars, few."""

    @override
    def starred(self, file: SourceFile, name: str) -> Iterable[str]:
        files = self.files
        if not isinstance(files, Files):
            return file.stars
        return (module for module in file.stars if files.may_define(module, name))


@dataclass(frozen=True)
class UserSource:
    """A user's file, in a library that finds torch's files and all others it leads to."""

    file: UserFile
    library: Library

    def layers(self) -> list[SourceClass]:
        """The classes of the file that derive from torch.nn.Module, in the order of the file."""
        return [item for item in self.file.classes.values() if self.library.is_layer(item)]


def read_user(target: Target, torch: Library) -> UserSource:
    """Read a user's file; torch's are already there, and others are read when they are needed."""
    own = _read(target.module, target.path)
    files = Files({**torch.files, target.module: own}, _roots(target))
    return UserSource(own, UserLibrary(torch.version, files))


def _roots(target: Target) -> list[Path]:
    """Where the file's own imports start, beside where all others do."""
    folder = target.path.parent
    is_script = not (folder / "__init__.py").exists()
    return [*([target.root] if target.root else []), *([folder] if is_script else [])]


def _read(module: str, path: Path) -> UserFile:
    text = read_text(path)
    try:
        return read_outline(text, module, is_package=path.name == "__init__.py")
    except cst.ParserSyntaxError as error:
        raise no_python(path, text, error) from error

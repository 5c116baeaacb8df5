"""A user's file, and those that its bases come from -> one library; nothing is imported."""

from __future__ import annotations

import tokenize
from dataclasses import dataclass
from pathlib import Path

import libcst as cst

from metann.codegen.errors import CodegenError
from metann.codegen.library import Library
from metann.codegen.read import read_file
from metann.codegen.source import SourceClass, SourceFile
from metann.codegen.users.locate import Target, find_module


@dataclass(frozen=True)
class UserSource:
    """A user's file, in a library that has torch and the files its bases come from, too."""

    file: SourceFile
    library: Library

    def layers(self) -> list[SourceClass]:
        """The classes of the file that derive from torch.nn.Module, in the order of the file."""
        return [item for item in self.file.classes.values() if self.library.is_layer(item)]


def read_user(target: Target, torch: Library) -> UserSource:
    """Read a user's file and those of the bases it mentions; torch's are already there."""
    own = _read(target.module, target.path)
    files: dict[str, SourceFile] = {**torch.files, target.module: own}
    pending = _mentioned(own)
    while pending:
        module = pending.pop()
        path = None if module in files else find_module(module)
        if path is not None:
            files[module] = _read(module, path)
            pending.extend(_mentioned(files[module]))
    return UserSource(own, Library(torch.version, files))


def _read(module: str, path: Path) -> SourceFile:
    is_package = path.name == "__init__.py"
    try:
        # In the encoding that the file declares.
        with tokenize.open(path) as file:
            return read_file(file.read(), module, is_package=is_package)
    except cst.ParserSyntaxError as error:
        raise CodegenError(
            f"Asked to read {path}, but line {error.raw_line} is no Python: "
            f"{error.message.splitlines()[0]}."
        ) from error
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise CodegenError(f"Asked to read {path}, but it cannot be read: {error}") from error


def _mentioned(file: SourceFile) -> list[str]:
    """The modules that the bases of a file's classes come from, or pass through."""
    bases = [base for source in file.classes.values() for base in source.bases]
    names = [file.qualified(base) for base in bases]
    names += file.imports.values() if file.is_package else []
    modules = (name.rpartition(".")[0] for name in names)
    return [module for module in (*modules, *file.stars) if module]

"""The files of a library as one value, with inheritance and re-exports resolved over them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metann.codegen.errors import CodegenError
from metann.codegen.read import read_file
from metann.codegen.source import SourceClass, SourceFile
from metann.codegen.version import read_version

MODULE = "torch.nn.modules.module.Module"
PUBLIC = ("torch.nn.modules", "torch.nn")
# Beside what PUBLIC exports: where more layers and the type aliases are.
ALSO_READ = (
    "torch.nn.utils.parametrize",
    "torch.nn.utils.parametrizations",
    "torch.nn.common_types",
    "torch.types",
)


@dataclass(frozen=True)
class Library:
    """Source files by module name, and the version they are of."""

    version: str
    files: Mapping[str, SourceFile]

    def find(self, qualified: str, seen: frozenset[str] = frozenset()) -> SourceClass | None:
        """The class behind a qualified name, through re-exports; None if it was not read.

        Example: "torch.nn.parallel.DataParallel" -> the class in torch.nn.parallel.data_parallel
        """
        file, name = self._file_of(qualified)
        if file is None or name in file.classes:
            return None if file is None else file.classes[name]
        seen |= {qualified}  # Packages may import from each other in a circle.
        first, _, rest = name.partition(".")
        if first in file.imports:
            imported = f"{file.imports[first]}.{rest}".rstrip(".")
            return None if imported in seen else self.find(imported, seen)
        if rest:
            outer = self.find(qualified.removesuffix(f".{rest}"), seen)
            inner = "" if outer is None else f"{outer.qualified_name}.{rest}"
            return self.find(inner, seen) if inner and inner not in seen else None
        names = (f"{star}.{name}" for star in self.starred(file, first) if star != file.module)
        starred = (self.find(item, seen) for item in names if item not in seen)
        return next((found for found in starred if found is not None), None)

    def starred(self, file: SourceFile, name: str) -> Iterable[str]:
        """The modules that a name may come from by `from module import *`."""
        del name
        return file.stars

    def alias(self, qualified: str) -> tuple[str, SourceFile] | None:
        """A type alias's expression and the file in which its names have their meaning."""
        file, name = self._file_of(qualified)
        if file is None or name not in file.aliases:
            return None
        return file.aliases[name], file

    def bases_of(self, source: SourceClass) -> Iterator[SourceClass]:
        """The bases that are in the library; `object`, `Protocol`, ... are left out."""
        file = self.files[source.module]
        for base in source.bases:
            # `from there import Net` / `class Net(Net)`: the base is what was imported.
            is_above = base == source.name and base in file.imports
            found = self.find(file.imports[base] if is_above else file.qualified(base))
            if found is not None and found.qualified_name != source.qualified_name:
                yield found

    def mro(self, source: SourceClass, below: tuple[str, ...] = ()) -> tuple[SourceClass, ...]:
        """The classes in Python's own order (C3), the class itself first.

        One that a user has made its own base, by way of others (`below`), is left out there.

        Example: LazyLinear -> LazyLinear, LazyModuleMixin, Linear, Module
        """
        seen = (*below, source.qualified_name)
        bases = [base for base in self.bases_of(source) if base.qualified_name not in seen]
        return (source, *_merge([*(self.mro(base, seen) for base in bases), bases]))

    def is_layer(self, source: SourceClass) -> bool:
        """Whether a class derives from torch.nn.Module."""
        return any(item.qualified_name == MODULE for item in self.mro(source))

    def exports(self) -> Iterator[tuple[str, SourceClass]]:
        """The public names of torch.nn that are classes, as (name, class), in torch's order."""
        modules, package = (self.files[module] for module in PUBLIC)
        for name in dict.fromkeys((*modules.exported, *package.imports)):
            found = self.find(f"{package.module}.{name}")
            if found is not None:
                yield name, found

    def _file_of(self, qualified: str) -> tuple[SourceFile | None, str]:
        """The file, and the dotted name in it. Example: a class in a class -> "Outer.Inner"."""
        module, _, name = qualified.rpartition(".")
        while module:
            file = self.files.get(module)
            if file is not None:
                return file, name
            module, _, last = module.rpartition(".")
            name = f"{last}.{name}"
        return None, name


def _merge(sequences: Sequence[Sequence[SourceClass]]) -> list[SourceClass]:
    """C3: always the first head that no other sequence still has in its tail."""
    merged: list[SourceClass] = []
    rest = [list(sequence) for sequence in sequences if sequence]
    while rest:
        tails = [item.qualified_name for sequence in rest for item in sequence[1:]]
        heads = (sequence[0] for sequence in rest if sequence[0].qualified_name not in tails)
        # Python refuses such a class; here it is only read.
        head = next(heads, rest[0][0])
        merged.append(head)
        kept = (
            [item for item in line if item.qualified_name != head.qualified_name] for line in rest
        )
        rest = [line for line in kept if line]
    return merged


def find_torch() -> Path:
    """The folder of the installed torch; nothing of it is executed."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise CodegenError(
            "Asked to read torch's source files, but torch is not installed here. "
            "Install it (`pip install torch`), then run the command again."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def read_torch(root: Path) -> Library:
    """Read what of torch is needed, starting from the public names of torch.nn."""
    files: dict[str, SourceFile] = {}
    pending = [*PUBLIC, *ALSO_READ]
    while pending:
        module = pending.pop(0)
        if module not in files:
            files[module] = read_module(root, module)
            pending.extend(_mentioned(files[module]))
    return Library(version=read_version(root / "version.py"), files=files)


def read_module(root: Path, module: str) -> SourceFile:
    """Read one module of torch. Example: "torch.nn" -> what torch/nn/__init__.py says."""
    relative = Path(*module.split(".")[1:])
    for path in (root / relative.with_suffix(".py"), root / relative / "__init__.py"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            return read_file(text, module, is_package=path.name == "__init__.py")
    raise CodegenError(f"torch has no source file for {module}: is this installation complete?")


def _mentioned(file: SourceFile) -> Iterable[str]:
    """The modules of torch.nn that a package re-exports from, or that bases come from."""
    names = list(file.imports.values()) if file.is_package else []
    for source in file.classes.values():
        names += [file.qualified(base) for base in source.bases]
    modules = (name.rpartition(".")[0] for name in names)
    return [module for module in modules if f"{module}.".startswith("torch.nn.")]

"""From a module's name to its source file, and back, as `import` would go; nothing is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

# What stands in the folder of a project, which is thus no package.
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
_SOURCES = "src"
_PACKAGE = "__init__.py"


@dataclass(frozen=True)
class Found:
    """Where a module's name leads: to a source file, or to none, and why.

    `folders` are those that a package's modules are looked for in. `hides` is a file of the same
    name among the installed packages.
    """

    path: Path | None = None
    folders: tuple[Path, ...] = ()
    why: str = ""
    hides: Path | None = None


@dataclass(frozen=True)
class Home:
    """The name under which a file is imported, and the folder that this name counts from.

    `loose` are the packages without an __init__.py at the beginning of the name.
    """

    module: str
    root: Path
    loose: tuple[str, ...] = ()


def find_module(module: str, roots: Sequence[Path] = ()) -> Path | None:
    """The source file of a module; `roots` are folders to look in before all others.

    Example: "torch.nn.modules.linear" -> .../torch/nn/modules/linear.py
    """
    return _follow(module, roots)[0].path


def search(module: str) -> Found:
    """Look for a module in the current folder, in its src/ and in what is installed.

    Example: a module of which only a stub is there -> Found(why="there is only a stub, nets.pyi")
    """
    found, folders = _follow(module)
    if found.path is not None or found.why:
        return found
    last = module.rpartition(".")[2]
    for folder in folders:
        for why in _remains(folder, last):
            return Found(why=why)
    if found.folders:
        return Found(why=f"{found.folders[0].name}/ is a folder without an __init__.py")
    return found


def _follow(module: str, roots: Sequence[Path] = ()) -> tuple[Found, Sequence[Path]]:
    """Where a name leads, part by part; and the folders in which the last part was looked for."""
    first, *rest = module.split(".")
    folders: Sequence[Path] = (*roots, Path.cwd(), Path.cwd() / _SOURCES)
    found, name = _first(first, folders), first
    for part in rest:
        if not found.folders:
            is_file = found.path is not None
            return Found(why=f"{name} is no package" if is_file else found.why), folders
        folders, name = found.folders, f"{name}.{part}"
        inside = _look(part, folders)
        if inside.path is None:
            asked = _ask(name, [str(folder) for folder in folders])
            inside = asked if asked.path is not None or not inside.folders else inside
        found = inside
    return found, folders


def home_of(path: Path) -> Home:
    """How a file is imported: its name after those of the packages it is in.

    Those without an __init__.py count if they lead to where imports start: a folder on sys.path,
    the current one, one called src, or that of a project.

    Example: src/pkg/nets.py -> "pkg.nets"
    """
    whole = Path(os.path.abspath(path))
    names = [] if whole.name == _PACKAGE else [whole.stem]
    folder = whole.parent
    while (folder / _PACKAGE).is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    regular, loose = Home(".".join(names), folder), list[str]()
    while not _is_start(folder):
        if not folder.name.isidentifier():
            return regular
        loose.insert(0, folder.name)
        folder = folder.parent
    return Home(".".join((*loose, *names)), folder, tuple(loose))


def _is_start(folder: Path) -> bool:
    """Whether imports start in a folder."""
    starts = {Path(item).resolve() for item in ("", *sys.path)}
    if folder.name == _SOURCES or folder.resolve() in starts:
        return True
    return any((folder / name).exists() for name in _PROJECT)


def _first(name: str, roots: Sequence[Path]) -> Found:
    """The beginning of a dotted name: a folder's own files go before what is installed."""
    here, installed = _look(name, roots), _ask(name)
    if here.path is not None:
        hidden = installed.path
        is_other = hidden is not None and not hidden.samefile(here.path)
        return replace(here, hides=hidden if is_other else None)
    if installed.path is not None:
        return installed
    folders = tuple(dict.fromkeys((*here.folders, *installed.folders)))
    return Found(folders=folders, why=installed.why)


def _look(name: str, folders: Iterable[Path]) -> Found:
    """Look for a name in folders, in the order of Python's own import."""
    loose: list[Path] = []
    for folder in folders:
        if (folder / name / _PACKAGE).is_file():
            return Found(folder / name / _PACKAGE, (folder / name,))
        if (folder / f"{name}.py").is_file():
            return Found(folder / f"{name}.py")
        if (folder / name).is_dir():
            loose.append(folder / name)
    return Found(folders=tuple(loose))


def _remains(folder: Path, name: str) -> Iterator[str]:
    """What there is of a module in a folder, if it is not its source."""
    for stem in (folder / name, folder / name / "__init__"):
        for suffix, what in ((".pyi", "a stub"), (".pyc", "compiled code")):
            if stem.with_name(f"{stem.name}{suffix}").is_file():
                yield f"there is only {what}, {stem.name}{suffix}"
        for file in (*stem.parent.glob(f"{stem.name}.*so"), *stem.parent.glob(f"{stem.name}.*pyd")):
            yield f"there is only compiled code, {file.name}"


def _ask(module: str, folders: Sequence[str] | None = None) -> Found:
    """Ask what Python's import asks: editable installations have finders of their own."""
    for finder in sys.meta_path:
        # It wants the package to be imported; what it finds in folders is found without it.
        if folders is not None and finder is PathFinder:
            continue
        try:
            spec = finder.find_spec(module, folders)
        except (ImportError, OSError, ValueError):
            continue
        if spec is not None:
            return _of_spec(spec)
    return Found()


def _of_spec(spec: ModuleSpec) -> Found:
    folders = tuple(Path(folder) for folder in spec.submodule_search_locations or ())
    path = Path(spec.origin) if spec.origin is not None and spec.has_location else None
    if path is None:
        return Found(folders=folders, why="" if folders else "it is built into Python")
    if path.suffix != ".py":
        return Found(folders=folders, why=f"there is only compiled code, {path.name}")
    if not path.is_file():
        archive = next((item for item in path.parents if item.is_file()), path)
        return Found(why=f"it is in an archive, {archive}")
    return Found(path, folders)

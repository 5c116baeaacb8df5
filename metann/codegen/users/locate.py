"""Finds the source file of a user's module; nothing of it is imported."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from metann.codegen.errors import CodegenError


@dataclass(frozen=True)
class Target:
    """What a user asks counterparts for: a module, its file, and the names of classes, or all.

    `given` is how the user named the module.
    """

    module: str
    path: Path
    given: str
    names: tuple[str, ...] = ()


def locate(target: str) -> Target:
    """Find what `package.module`, the path of a file, or either with `:Class` stands for.

    Example: "pkg.nets:Net" -> Target("pkg.nets", Path("pkg/nets.py"), "pkg.nets", ("Net",))
    """
    place, _, name = target.rpartition(":")
    if not name.isidentifier():
        place, name = target, ""
    names = (name,) if name else ()
    if _is_path(place):
        path = Path(place)
        if not path.is_file():
            raise CodegenError(
                f"Asked for the modules in {place}, but there is no such file. Give the path of a "
                "Python file, or a module as in `package.module`."
            )
        return Target(module_name(path.resolve()), path, place, names)
    found = find_module(place)
    if found is None:
        raise CodegenError(
            f"Asked for the modules in {place}, but no source file of that name was found in the "
            "current folder or among the installed packages. Give the path of the file instead."
        )
    return Target(place, found, place, names)


def find_module(module: str) -> Path | None:
    """The source file of a module, found without importing the packages it is in.

    Example: "torch.nn.modules.linear" -> .../torch/nn/modules/linear.py
    """
    first, *rest = module.split(".")
    for folder in _roots(first):
        path = folder.joinpath(*rest) if rest else folder
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def module_name(path: Path) -> str:
    """How a file is imported: its name after those of the packages it is in.

    Example: nets.py in pkg/, which has an __init__.py -> "pkg.nets"
    """
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


def _is_path(target: str) -> bool:
    return target.endswith(".py") or "/" in target or "\\" in target


def _roots(package: str) -> list[Path]:
    """Where the files of a top-level package, or a top-level module, may be."""
    # A command's own folder is first on sys.path, not the one that the user is in.
    here = [Path.cwd() / package]
    if package in sys.builtin_module_names:
        return here
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return here
    if spec is None:
        return here
    if spec.submodule_search_locations is not None:
        return here + [Path(folder) for folder in spec.submodule_search_locations]
    return here if spec.origin is None else [*here, Path(spec.origin).with_suffix("")]

"""What the user names -> the source file and the name of a module; nothing of it is imported."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from metann.codegen.errors import CodegenError
from metann.codegen.model import Note
from metann.codegen.users.search import Found, home_of, search
from metann.codegen.users.texts import shown

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Target:
    """What a user asks counterparts for: a module, its file, and the names of classes, or all.

    `given` is how the user named the module, `root` the folder that its name counts from.
    """

    module: str
    path: Path
    given: str
    names: tuple[str, ...] = ()
    root: Path | None = None
    notes: tuple[Note, ...] = ()

    @property
    def is_importable(self) -> bool:
        """Whether every part of the module's name is a name of Python's; "nets.v2" is none."""
        is_one_name = self.path.stem in (self.parts[-1], "__init__")
        are_names = (part.isidentifier() and not keyword.iskeyword(part) for part in self.parts)
        return is_one_name and all(are_names)

    @property
    def parts(self) -> list[str]:
        """Example: "pkg.nets" -> "pkg", "nets"."""
        return self.module.split(".")


def locate(target: str) -> Target:
    """Find what `package.module`, the path of a file, or either with `:Class` stands for.

    Example: "pkg.nets:Net" -> Target("pkg.nets", Path("pkg/nets.py"), "pkg.nets", ("Net",))
    """
    place, name = _split(target)
    if not place.strip():
        raise CodegenError(
            f"Asked for the modules in {target!r}, but that names no file. Give the path of a "
            "Python file, or a module as in `package.module`."
        )
    names = (name,) if name else ()
    if _is_path(place):
        return _from_path(place, names)
    found = search(place) if all(place.split(".")) else Found()
    if found.path is not None:
        return Target(place, found.path, place, names, notes=_hiding(place, found))
    if Path(place).is_file():
        raise CodegenError(_no_python(place))
    raise CodegenError(_not_found(place, found))


def _split(target: str) -> tuple[str, str]:
    """Example: "C:/nets.py:Net" -> "C:/nets.py", "Net"."""
    place, colon, name = target.rpartition(":")
    if not colon or (len(place) == 1 and _DRIVE.match(target)):
        return target, ""
    if not all(part.isidentifier() for part in name.split(".")):
        raise CodegenError(
            f"Asked for the class {name!r} of {place}, but that is no name of a class. Give one "
            "as in `package.module:Class`, or leave `:` out for all classes."
        )
    return place, name


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place or place in (".", "..")


def _from_path(given: str, names: tuple[str, ...]) -> Target:
    # What was typed on Windows is understood everywhere, and spelled in one way.
    place = given if Path(given).exists() else PureWindowsPath(given).as_posix()
    path = Path(place)
    if path.is_dir():
        raise CodegenError(
            f"Asked for the modules in {given}, but that is a folder. Give the files in it one by "
            "one, or the name of a package, which stands for its __init__.py."
        )
    if not path.exists():
        raise CodegenError(
            f"Asked for the modules in {given}, but there is no such file. Give the path of a "
            "Python file, or a module as in `package.module`."
        )
    if path.suffix != ".py":
        raise CodegenError(_no_python(given))
    home = home_of(path)
    notes = _loose(home.module, home.loose)
    return Target(home.module, path, path.as_posix(), names, home.root, notes)


def _loose(module: str, loose: tuple[str, ...]) -> tuple[Note, ...]:
    """Say by which name a file is known if it may have another one."""
    if not loose:
        return ()
    short = module.split(".", len(loose))[-1]
    why = (
        f"this is its name from the current folder, as {'/'.join(loose)}/ has no __init__.py; if "
        f"your program imports it as {short}, run the command in that folder"
    )
    return (Note(module, why),)


def _hiding(module: str, found: Found) -> tuple[Note, ...]:
    if found.hides is None:
        return ()
    this = "" if found.path is None else shown(found.path)
    return (Note(module, f"this is {this}, which hides the installed {found.hides}"),)


def _no_python(place: str) -> str:
    return (
        f"Asked for the modules in {place}, but that is no Python source file. "
        "Give a file whose name ends in .py."
    )


def _not_found(place: str, found: Found) -> str:
    if found.why:
        todo = "Give the path of a source file, or a module that has one."
        return f"Asked for the modules in {place}, but it has no source file: {found.why}. {todo}"
    return (
        f"Asked for the modules in {place}, but no source file of that name was found in the "
        "current folder, its src/ or among the installed packages. Give the path of the file "
        "instead."
    )

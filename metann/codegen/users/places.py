"""What stands in the way of writing a file, as far as can be seen without writing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from metann.codegen.errors import CodegenError


def refuse_place(path: Path) -> None:
    """Raise an error if there is something else than a file where one is to be."""
    asked = f"Asked to write {path}, but"
    if path.is_dir():
        raise CodegenError(f"{asked} that is a folder. Give the name of a file in it.")
    if path.exists() and not path.is_file():
        raise CodegenError(f"{asked} that is no ordinary file. Use `-o -` for standard output.")
    above = next((item for item in path.parents if item.exists()), Path())
    if not above.is_dir():
        raise CodegenError(f"{asked} {above} is a file, not a folder. Choose another place.")


def refuse_unwritable(path: Path, *, makes_folder: bool) -> None:
    """Raise an error if a file cannot be written, as far as can be seen without writing.

    `makes_folder`: its folder may be missing; the one that the folder is in must be there.
    """
    folder = path.parent
    asked = f"Asked to write {path}, but"
    if not (folder.is_dir() or (makes_folder and folder.parent.is_dir())):
        raise CodegenError(f"{asked} there is no folder {folder}. Make it, or choose another.")
    for place in (path if path.exists() else folder, folder if folder.exists() else folder.parent):
        if place.exists() and not os.access(place, os.W_OK):
            raise CodegenError(
                f"{asked} you may not write to {place}. Make it writable, or choose another place."
            )


def refuse_inputs(sources: Iterable[Path], places: Iterable[Path]) -> None:
    """Raise an error if a file would be written that is read."""
    for source, path in product(sources, places):
        if path.exists() and path.samefile(source):
            raise CodegenError(
                f"Asked to write {path}, but that is the file that is read. Choose another file."
            )

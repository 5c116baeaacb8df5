"""Texts -> files, or only what would change: writing and checking are one code but for its end."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# A hand-written file may stand among the generated ones.
HAND_WRITTEN = ("README.md",)
_IGNORED = ("__pycache__",)


class Change(Enum):
    """What has to happen to a file."""

    NONE = "up to date"
    CREATED = "missing"
    UPDATED = "changed"
    REMOVED = "orphaned"


@dataclass(frozen=True)
class FileChange:
    """A file as it is and as it should be; None where there is none."""

    path: Path
    before: str | None
    after: str | None

    @property
    def change(self) -> Change:
        """Example: a file that is there but should not be -> Change.REMOVED."""
        if self.before == self.after:
            return Change.NONE
        if self.before is None:
            return Change.CREATED
        return Change.REMOVED if self.after is None else Change.UPDATED

    def diff(self) -> str:
        """A unified diff from the file to what it should be."""
        return "".join(
            difflib.unified_diff(
                (self.before or "").splitlines(keepends=True),
                (self.after or "").splitlines(keepends=True),
                fromfile=str(self.path),
                tofile=f"{self.path} (as generated)",
            )
        )


def compare(texts: Mapping[str, str], folder: Path) -> tuple[FileChange, ...]:
    """What would make a folder hold exactly these files, sorted by name.

    Example: {"linear.py": "..."} and a folder with an old conv.py -> linear.py is missing,
    conv.py orphaned
    """
    names = sorted({*texts, *_present(folder)})
    return tuple(FileChange(folder / name, _text(folder / name), texts.get(name)) for name in names)


def apply(changes: Iterable[FileChange]) -> None:
    """Make the changes; a file that is up to date is not touched."""
    for item in changes:
        if item.change is Change.REMOVED:
            item.path.unlink()
        elif item.after is not None and item.change is not Change.NONE:
            write_file(item.path, item.after)


def write_file(path: Path, text: str) -> None:
    """Put a text in place of a file at once: nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        # Temporary files are private; a source file is readable to whom the umask allows.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _present(folder: Path) -> Iterable[str]:
    if not folder.is_dir():
        return []
    ignored = (*HAND_WRITTEN, *_IGNORED)
    return [path.name for path in folder.iterdir() if path.name not in ignored]


def _text(path: Path) -> str | None:
    """The text of a file; bytes that are no UTF-8 differ from every text."""
    if not path.exists():
        return None
    return path.read_bytes().decode("utf-8", errors="replace")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""What the generator raises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metann.errors import MetannError

_NOTHING = "Nothing was written."


class CodegenError(MetannError):
    """The generator was asked for something it cannot do; nothing was written."""


class MissingFactError(CodegenError):
    """torch's source leaves a type open and metann/codegen/facts.py does not give it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"torch's source does not annotate {what}, and no fact does. "
            "Add it to metann/codegen/facts.py, with its reason."
        )


class WriteError(MetannError):
    """A file could not be written; it is as it was before."""

    def __init__(self, path: Path, error: OSError, written: Sequence[Path] = ()) -> None:
        done = f"Written before it: {', '.join(map(str, written))}." if written else _NOTHING
        super().__init__(
            f"Asked to write {path}, but that failed: {error.strerror or error}. "
            f"Make its folder writable, or choose another. {done}"
        )

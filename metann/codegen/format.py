"""Text -> the same text, laid out by black with this project's line length."""

from __future__ import annotations

from black import format_str
from black.mode import Mode, TargetVersion

LINE_LENGTH = 100
_MODE = Mode(line_length=LINE_LENGTH, target_versions={TargetVersion.PY310})


def format_text(text: str) -> str:
    """Lay out Python source. Example: "x = f( 1 )" -> "x = f(1)" and a line break."""
    return format_str(text, mode=_MODE)

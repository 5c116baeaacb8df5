"""The text of a user's file, and what to say if it cannot be read or is no Python."""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import warnings
from pathlib import Path

import libcst as cst

from metann.codegen.errors import CodegenError

_PLACE = re.compile(r"error at (\d+):(\d+): (.*)")


def read_text(path: Path) -> str:
    """The text of a file in the encoding that it declares, with its own line ends."""
    try:
        data = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except OSError as error:
        raise CodegenError(
            f"Asked to read {shown(path)}, but that failed: {error.strerror}. Make it readable."
        ) from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CodegenError(
            f"Asked to read {shown(path)}, but {_undecodable(path.read_bytes(), error)}. "
            "Save it as UTF-8."
        ) from error


def is_readable(text: str) -> bool:
    """Whether a text means the same in UTF-8: it may declare another encoding."""
    data = text.encode("utf-8")
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding, errors="replace") == text


def no_python(path: Path, text: str, error: cst.ParserSyntaxError) -> CodegenError:
    """The error for a text that libcst cannot parse, with its place and the line there."""
    number, column, what = _python_says(text) or _libcst_says(error)
    lines = text.splitlines()
    line = lines[number - 1] if number <= len(lines) else ""
    # The mark stands below its column, whatever of tabs there is before it.
    margin = "".join(sign if sign == "\t" else " " for sign in line[: column - 1])
    return CodegenError(
        f"Asked to read {shown(path)}, but it is no Python that can be parsed:\n"
        f"{shown(path)}:{number}:{column}: {what}\n    {line}\n    {margin}^\n"
        "Mend that line, then run the command again."
    )


def shown(path: Path) -> str:
    """A path as messages name it: from the current folder, if it is in that."""
    whole = Path(os.path.abspath(path))
    here = Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else path)


def _undecodable(data: bytes, error: Exception) -> str:
    if "unknown encoding" in str(error):
        return "it declares an encoding that there is not"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as found:
        line = data.count(b"\n", 0, found.start) + 1
        return f"line {line} has the byte 0x{data[found.start]:02x}, which is no UTF-8"
    return "it is not in the encoding that it declares"


def _python_says(text: str) -> tuple[int, int, str] | None:
    """Line, column and words of Python's own parser, which are clearer than libcst's."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1, error.offset or 1, error.msg
    except ValueError as error:  # A null byte.
        return 1, 1, str(error)
    return None


def _libcst_says(error: cst.ParserSyntaxError) -> tuple[int, int, str]:
    found = _PLACE.search(error.message)
    if found is None:
        return error.editor_line, error.editor_column, error.message
    return int(found.group(1)), int(found.group(2)), found.group(3)

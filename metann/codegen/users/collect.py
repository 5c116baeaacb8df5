"""One error for all that is wrong: who gives ten files wants to know of every one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from metann.codegen.errors import CodegenError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def collect(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Call a function on each item; if some fail, raise one error that says all that is wrong."""
    results: list[_Result] = []
    problems: list[str] = []
    for item in items:
        try:
            results.append(function(item))
        except CodegenError as error:
            problems.append(str(error))
    if problems:
        raise CodegenError("\n".join(problems))
    return results

"""Puts imports in the order that isort and ruff keep."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace

from metann.codegen.model import ImportLine, ImportPlan


def import_lines(imports: Iterable[ImportPlan], own: str = "metann") -> tuple[ImportLine, ...]:
    """The lines in order: the standard library, others, the package that the file belongs to.

    Example: `from torch import nn`, `from torch import Tensor`, `import torch` ->
    `import torch` and `from torch import Tensor, nn`
    """
    by_line: dict[tuple[str, str], list[ImportPlan]] = {}
    for item in imports:
        # What gets another name has a line of its own.
        rest = f"{item.name} as {item.alias}" if item.alias else str(bool(item.name))
        by_line.setdefault((item.module, rest), []).append(item)
    lines = sorted(
        (
            ImportLine(module, tuple(sorted(names, key=_name_order)))
            for (module, _), names in by_line.items()
        ),
        key=lambda line: (
            *(_section(line, own), line.is_from, line.module),
            _name_order(line.names[0]),
        ),
    )
    sections = [_section(line, own) for line in lines]
    first = {sections.index(section) for section in sections} - {0}
    return tuple(
        replace(line, starts_section=position in first) for position, line in enumerate(lines)
    )


def _section(line: ImportLine, own: str) -> int:
    package = line.module.partition(".")[0]
    if package in sys.stdlib_module_names:
        return 0
    return 2 if package == own else 1


def _name_order(item: ImportPlan) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions."""
    name = item.name
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower()

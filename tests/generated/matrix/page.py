"""docs/layer-matrix.md: what the reasons and the marks of torch's failures make of the matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from every_layer import SAMPLES_OF
from samples import SAMPLES

from matrix.answers import Layer, Mark, reasons_for, uses_of
from matrix.columns import COLUMNS, Column
from matrix.reasons import REASONS, Reason

PAGE = Path(__file__).resolve().parents[3] / "docs" / "layer-matrix.md"
COMMAND = "python tests/generated/layer_matrix.py --write"

Marks = Mapping[tuple[str, str], Mark]
SYMBOLS: Mapping[str, str] = {"error": "ᵉ", "wrong": "ʷ"}
RIGHT, PARTLY, EMPTY = "●", "◐", "○"
ROW = re.compile(r"^\| (\w+) \|(.*)\|$", flags=re.MULTILINE)

HEAD = """\
# What every layer can do

<!-- Written by `{command}` (`make matrix`); do not edit. -->
<!-- torch {version}, CPU. tests/generated/test_matrix.py asks again: no cell may change. -->

A row is a layer of torch, or rather its counterpart in metann, with computed weights; a column is
something that one may want of it. Each cell was found out by doing it, with every sample of the
layer in [tests/generated/samples](../tests/generated/samples/README.md), in train and in eval mode,
in float64.

| sign | meaning |
| --- | --- |
| ● | right: the numbers agree with those that the column names |
| ●ᵉ | right, where plain torch raises an error, at least with some samples |
| ●ʷ | right, where plain torch gives a wrong result without an error, at least with some samples |
| ◐ | right but for the samples that the note names; there torch is not right either |
| ○ | not possible, for the reason in the note; torch is not right either |

Plain torch is `torch.func.functional_call`, and a plain module where a model object is asked for.
Where torch holds something constant on purpose, gradients are compared with torch's, and forward
mode with either these or finite differences: {held}.

| column | what was compared |
| --- | --- |
{columns}

{count}
"""


def page(marks: Marks) -> str:
    """The text of the page."""
    explained = "\n".join(f"| {column.title} | {column.question} |" for column in COLUMNS)
    version = torch.__version__.split("+")[0]
    head = HEAD.format(
        held=_held(), command=COMMAND, version=version, columns=explained, count=_count(marks)
    )
    tables = (_table(name, layers, marks) for name, layers in _by_file().items())
    return "\n".join([head, *tables, _notes()])


def marks_of(text: str) -> dict[tuple[str, str], Mark]:
    """The marks on a page."""
    named = {sign: name for name, sign in SYMBOLS.items()}
    found: dict[tuple[str, str], Mark] = {}
    for row in ROW.finditer(text):
        # Other tables have fewer columns.
        for column, cell in zip(COLUMNS, row[2].split("|"), strict=False):
            for sign in set(named) & set(cell):
                found[row[1], column.title] = named[sign]
    return found


def cell(layer: Layer, column: Column, marks: Marks) -> str:
    """One cell: a sign, torch's mark, the numbers of the notes."""
    uses = uses_of(layer)
    given = [reasons_for(column, use) for use in uses]
    numbers = sorted({REASONS.index(reason) + 1 for reasons in given for reason in reasons})
    mark = marks.get((layer.__name__, column.title))
    sign = EMPTY if all(given) else PARTLY if numbers else RIGHT
    notes = " ".join(f"[{number}](#note-{number})" for number in numbers)
    return f"{sign}{SYMBOLS[mark] if mark else ''} {notes}".rstrip()


def _held() -> str:
    """What torch takes for constant, and in which layers."""
    found: dict[str, list[str]] = {}
    for sample in SAMPLES:
        if sample.held_constant is not None:
            found.setdefault(sample.held_constant.what, []).append(sample.layer.__name__)
    return "; ".join(f"{what} ({', '.join(sorted({*of}))})" for what, of in sorted(found.items()))


def _table(name: str, layers: list[Layer], marks: Marks) -> str:
    titles = " | ".join(column.title for column in COLUMNS)
    head = [f"## {name}", "", f"| layer | {titles} |", "|" + " --- |" * (len(COLUMNS) + 1)]
    return "\n".join([*head, *(_row(layer, marks) for layer in layers), ""])


def _row(layer: Layer, marks: Marks) -> str:
    cells = " | ".join(cell(layer, column, marks) for column in COLUMNS)
    return f"| {layer.__name__} | {cells} |"


def _by_file() -> dict[str, list[Layer]]:
    """The layers, in the order of the samples, by torch's source file."""
    found: dict[str, list[Layer]] = {}
    for layer in SAMPLES_OF:
        found.setdefault(f"{layer.__module__.replace('.', '/')}.py", []).append(layer)
    return dict(sorted(found.items()))


def _count(marks: Marks) -> str:
    cells = [cell(layer, column, {}) for layer in SAMPLES_OF for column in COLUMNS]
    kinds = [c[0] for c in cells]
    marked = [*marks.values()]
    return (
        f"{len(SAMPLES_OF)} layers, {len(cells)} cells: {kinds.count(RIGHT)} right, "
        f"{kinds.count(PARTLY)} right but for some samples, {kinds.count(EMPTY)} empty. In "
        f"{len(marked)} of them metann is right where plain torch is not: it raises an error in "
        f"{marked.count('error')}, and is silently wrong in {marked.count('wrong')}."
    )


def _notes() -> str:
    lines = (_note(number, reason) for number, reason in enumerate(REASONS, 1))
    return "\n".join(["## Notes", "", *lines])


def _note(number: int, reason: Reason) -> str:
    return f'{number}. <a id="note-{number}"></a>{reason.text} ([more]({reason.link}))\n'

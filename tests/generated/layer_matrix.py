"""Ask every question of the matrix about every layer, and write docs/layer-matrix.md.

What is to be complained of is printed: cells that are worse, or better, than matrix/reasons.py
says. If there is nothing, `--write` writes the page; it takes some minutes, for all samples are
compiled. `--quick` compiles one or two of each layer, as the tests do, and names of layers ask
about these alone: neither writes.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import torch
from every_layer import SAMPLES_OF
from matrix.answers import complaints, some_uses_of, torch_mark, uses_of
from matrix.columns import COLUMNS
from matrix.page import PAGE, Mark, page

Found = tuple[str, list[str], dict[tuple[str, str], Mark]]


def main() -> int:
    """Return 0 if every reason holds, and nothing lacks one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the page")
    parser.add_argument("--quick", action="store_true", help="slow columns: some samples only")
    parser.add_argument("layers", nargs="*", help="names of layers; all if there are none")
    given = parser.parse_args()
    names = given.layers or [layer.__name__ for layer in SAMPLES_OF]
    marks: dict[tuple[str, str], Mark] = {}
    complained = False
    with ProcessPoolExecutor(initializer=_prepare) as pool:
        for name, said, found in pool.map(_asked, names, repeat(given.quick)):
            print("\n".join([name, *(f"    {line}" for line in said)]), flush=True)
            marks |= found
            complained |= bool(said)
    is_complete = not (given.layers or given.quick or complained)
    if given.write and is_complete:
        PAGE.write_text(page(marks), encoding="utf-8")
        print(f"wrote {PAGE}")
    return int(complained)


def _prepare() -> None:
    """As tests/generated/conftest.py does."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)


def _asked(name: str, quick: bool) -> Found:
    """Everything about one layer: its complaints, and the marks of torch's failures."""
    layer = next(layer for layer in SAMPLES_OF if layer.__name__ == name)
    said: list[str] = []
    marks: dict[tuple[str, str], Mark] = {}
    for column in COLUMNS:
        uses = some_uses_of(layer, column) if quick and column.is_slow else uses_of(layer)
        said += complaints(column, uses)
        mark = torch_mark(column, uses)
        if mark is not None:
            marks[name, column.title] = mark
    return name, said, marks


if __name__ == "__main__":
    raise SystemExit(main())

"""The line "Shape: ..." of a docstring, compared with shapes of real tensors.

Names are attributes of the layer, or sizes, which are the same wherever the name is; `*` stands
for any number of dimensions, and so does `*_out`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from docstrings.said import Names, evaluated

Shape = tuple[int, ...]
Sizes = Mapping[str, Any]
Documented = tuple[tuple[ast.expr, ...], ...]


@dataclass(frozen=True)
class SaidShapes:
    """What a layer takes and gives; `alternative` is what it gives under `condition`."""

    inputs: Documented
    outputs: Documented
    alternative: Documented = ()
    condition: str = "False"
    optional: str = ""
    is_open: bool = False


def parsed(text: str) -> SaidShapes:
    """Example: "(N, C) -> (N), or without N" -> inputs N, C; outputs N; optional "N"."""
    text, optional = _cut(text, r"[,;] or without (\w+)$")
    text, condition = _cut(text, r" with (\w+=\S+)$")
    alternative = ""
    if condition:
        text, alternative = _cut(text, r", or (\(.*\))$")
    text, rest = _cut(text, r", and ([\w ]+)$")
    inputs, outputs = text.split(" -> ")
    return SaidShapes(
        inputs=tuple(_tensors(inputs)),
        outputs=tuple(_tensors(outputs)),
        alternative=tuple(_tensors(alternative)),
        condition=condition.replace("=", " == ") or "False",
        optional=optional,
        is_open=bool(rest),
    )


def _cut(text: str, pattern: str) -> tuple[str, str]:
    found = re.search(pattern, text)
    return (text[: found.start()], found[1]) if found else (text, "")


def _tensors(text: str) -> Iterator[tuple[ast.expr, ...]]:
    """Example: "(N, C), (*)" -> (N, C), (*_rest,)."""
    text = re.sub(r"\*(?=[,)])", "*_rest", text).replace("(*_rest)", "(*_rest,)")
    parsed_list = ast.parse(f"[{text}]", mode="eval").body
    assert isinstance(parsed_list, ast.List)
    for shape in parsed_list.elts:
        yield tuple(shape.elts) if isinstance(shape, ast.Tuple) else (shape,)


def swapped(said: SaidShapes, letters: str) -> SaidShapes:
    """With N before each of the letters that come before it. Example: L, N, C -> N, L, C."""

    def swap(shape: tuple[ast.expr, ...]) -> tuple[ast.expr, ...]:
        first, second, *rest = shape
        is_before = isinstance(first, ast.Name) and first.id in letters
        return (second, first, *rest) if is_before else shape

    inputs, outputs = (tuple(map(swap, side)) for side in (said.inputs, said.outputs))
    return replace(said, inputs=inputs, outputs=outputs)


def without_optional(said: SaidShapes) -> SaidShapes:
    """What is said of one example: no tensor has the dimension."""

    def without(side: Documented) -> Documented:
        return tuple(
            tuple(size for size in shape if ast.unparse(size) != said.optional) for shape in side
        )

    return replace(
        said,
        inputs=without(said.inputs),
        outputs=without(said.outputs),
        alternative=without(said.alternative),
    )


def fits(
    said: SaidShapes, inputs: Sequence[Shape], outputs: Sequence[Shape], layer: Names, told: Names
) -> bool:
    """Whether real shapes are as it is said; inputs that are not said are left out."""
    is_other = bool(evaluated(said.condition, told))
    given = said.alternative if is_other else said.outputs
    if len(outputs) < len(given) or (len(outputs) > len(given) and not said.is_open):
        return False
    pairs = [*zip(said.inputs, inputs, strict=False), *zip(given, outputs, strict=False)]
    return any(True for _ in _solutions(pairs, {}, layer))


Pairs = Sequence[tuple[tuple[ast.expr, ...], Shape]]


def _solutions(pairs: Pairs, sizes: Sizes, layer: Names) -> Iterator[Sizes]:
    """Every meaning of the names with which all shapes are right."""
    if not pairs:
        yield sizes
        return
    (shape, real), *others = pairs
    for known in _matches(shape, real, sizes, layer):
        yield from _solutions(others, known, layer)


def _matches(
    shape: tuple[ast.expr, ...], real: Shape, sizes: Sizes, layer: Names
) -> Iterator[Sizes]:
    if not shape:
        if not real:
            yield sizes
        return
    first, *rest = shape
    widths = range(len(real) + 1) if isinstance(first, ast.Starred) else [1]
    for width in widths:
        if width <= len(real):
            for known in _bound(first, real[:width], sizes, layer):
                yield from _matches(tuple(rest), real[width:], known, layer)


def _bound(size: ast.expr, real: Shape, sizes: Sizes, layer: Names) -> Iterator[Sizes]:
    """The meanings with which one size is right; a name without one gets it here."""
    expression = size.value if isinstance(size, ast.Starred) else size
    value: Any = real if isinstance(size, ast.Starred) else real[0]
    names = {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}
    unknown = sorted(name for name in names if name not in sizes and not hasattr(layer.layer, name))
    if unknown:
        assert len(unknown) == 1, f"{ast.unparse(size)} has several unknown names"
        candidates = [value] if isinstance(expression, ast.Name) else range(value + 1)
        tried = ({**sizes, unknown[0]: candidate} for candidate in candidates)
    else:
        tried = iter([sizes])
    for known in tried:
        meant = evaluated(ast.unparse(expression), Names(layer.layer, **known))
        if (tuple(meant) if isinstance(size, ast.Starred) else meant) == value:
            yield known

"""Asking a side about a layer, and holding what it cannot do against the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from every_layer import SAMPLES_OF
from measuring import allowed_warnings, torch_alone
from torch import nn

from matrix.columns import Column
from matrix.problem import Problem, Use
from matrix.reasons import REASONS, Reason
from matrix.sides import Metann, Torch
from matrix.verdict import Verdict, verdict

Layer = type[nn.Module]
# What torch by itself makes of a cell in which metann is right.
Mark = Literal["error", "wrong"]


@dataclass(frozen=True)
class Failure:
    """What metann cannot do with one use of a layer, and whether torch by itself can."""

    use: Use
    column: Column
    verdict: Verdict
    torchs: Verdict

    def __str__(self) -> str:
        return f"{self.column.title}: {self.use}: {self.verdict}; torch: {self.torchs}"


def uses_of(layer: Layer) -> list[Use]:
    """Every sample of the layer, in train and in eval mode."""
    return [Use(sample, mode) for sample, mode in product(SAMPLES_OF[layer], (True, False))]


def some_uses_of(layer: Layer, column: Column) -> list[Use]:
    """For a slow column: the first sample, in both modes if they differ, and one with a reason."""
    first, other, *_ = uses = uses_of(layer)
    chosen = [first, other] if _modes_differ(first, other) else [first]
    explained = [use for use in uses if reasons_for(column, use) and use not in chosen]
    return [*chosen, *explained[:1]]


def _modes_differ(first: Use, other: Use) -> bool:
    with allowed_warnings(first.sample):
        problems = [Problem(use, Metann) for use in (first, other)]
        outputs = [problem.outputs(*problem.leaves) for problem in problems]
    return any(not torch.equal(a, b) for a, b in zip(*outputs, strict=True))


def failures(column: Column, uses: list[Use]) -> list[Failure]:
    """The uses that metann does not do right; of torch no more is asked than of these."""
    wrong = [
        (use, found) for use in uses if (found := verdict(column, use, Metann)).kind != "right"
    ]
    if not wrong:
        return []
    with torch_alone():
        return [Failure(u, column, found, verdict(column, u, Torch)) for u, found in wrong]


def reasons_for(column: Column, use: Use) -> list[Reason]:
    return [reason for reason in REASONS if reason.is_about(column.title, use)]


def complaints(column: Column, uses: list[Use]) -> Iterator[str]:
    """Where the reasons and what was found do not agree, in words."""
    found = {str(failure.use): failure for failure in failures(column, uses)}
    for use in uses:
        given = reasons_for(column, use)
        failure = found.get(str(use))
        if failure is None and given:
            yield f"{column.title}: {use} is right now: take its reason out of reasons.py"
        elif failure is not None and failure.torchs.kind == "right":
            yield f"torch can, metann cannot: {failure}"
        elif failure is not None and not any(r.explains(failure.verdict) for r in given):
            yield f"got worse, or never had a reason: {failure}"


def torch_mark(column: Column, uses: list[Use]) -> Mark | None:
    """What torch by itself makes of the uses that metann does right: the worst of it."""
    kinds = set(torchs_kinds(column, uses))
    return "wrong" if "wrong" in kinds else "error" if "error" in kinds else None


def torchs_kinds(column: Column, uses: list[Use]) -> Iterator[str]:
    """Whether torch by itself is right, is wrong or raises, for each use that metann does right."""
    if column.is_slow:
        uses = some_uses_of(uses[0].sample.layer, column)
    for use in uses:
        if not reasons_for(column, use):
            with torch_alone():
                kind = verdict(column, use, Torch).kind
            yield kind

"""The matrix of layers is as docs/layer-matrix.md says: no cell got worse, and none is better."""

import pytest
from every_layer import SAMPLES_OF
from matrix.answers import Layer, complaints, reasons_for, some_uses_of, torchs_kinds, uses_of
from matrix.columns import COLUMNS
from matrix.page import COMMAND, PAGE, Marks, marks_of, page
from matrix.reasons import REASONS, Reason

from metann.registry import generated_counterparts

QUICK = [column for column in COLUMNS if not column.is_slow]
SLOW = [column for column in COLUMNS if column.is_slow]
BY_TITLE = {column.title: column for column in COLUMNS}
REFRESH = f"mend it, or change matrix/reasons.py and run `{COMMAND}`"
each_layer = pytest.mark.parametrize(
    "layer", generated_counterparts(), ids=lambda layer: layer.__name__
)


def written_marks() -> Marks:
    return marks_of(PAGE.read_text(encoding="utf-8"))


@each_layer
def test_every_cell_is_right_or_has_a_reason(layer: Layer):
    said = [line for column in QUICK for line in complaints(column, uses_of(layer))]

    assert said == [], REFRESH


@each_layer
def test_slow_cells_too_for_some_samples(layer: Layer):
    said = [line for column in SLOW for line in complaints(column, some_uses_of(layer, column))]

    assert said == [], REFRESH


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.text[:40])
def test_a_reason_is_about_something(reason: Reason):
    named = [
        (layer, column)
        for layer in reason.layers
        for column in reason.columns
        if any(reason in reasons_for(BY_TITLE[column], use) for use in uses_of(layer))
    ]

    assert len(named) == len(reason.layers) * len(reason.columns)
    assert reason.link.startswith("https://")


def test_the_page_says_what_the_reasons_and_the_marks_say():
    assert page(written_marks()) == PAGE.read_text(encoding="utf-8"), f"run `{COMMAND}`"


@pytest.mark.parametrize("layer", SAMPLES_OF, ids=lambda layer: layer.__name__)
def test_torch_alone_fails_where_the_page_says_so(layer: Layer):
    marks = written_marks()
    for column in COLUMNS:
        mark = marks.get((layer.__name__, column.title))
        if mark is not None:
            assert mark in torchs_kinds(column, uses_of(layer)), f"{column.title}: run `{COMMAND}`"

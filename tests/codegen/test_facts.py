"""The facts by hand: none is out of use, so that the table stays small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from metann.codegen import facts, layers, methods
from metann.codegen.library import Library
from metann.codegen.model import LibraryPlan
from metann.codegen.plan import plan_library


class Recording(dict[str, object]):
    """A table that remembers which of its entries were used."""

    def __init__(self, table: Mapping[str, object]) -> None:
        super().__init__(table)
        self.used: set[str] = set()

    def get(self, key, default=None):
        self.used |= {key} & set(self)
        return super().get(key, default)

    def __getitem__(self, key):
        self.used.add(key)
        return super().__getitem__(key)


TABLES = (
    (methods, "ARGUMENTS"),
    (methods, "RESULTS"),
    (methods, "UNTYPED"),
    (methods, "STUBS_REFUSE"),
    (layers, "MIXINS"),
)


@pytest.fixture(scope="module")
def tables(torch_library: Library) -> dict[str, Recording]:
    """The tables, after everything has been planned with them once."""
    recording = {name: Recording(getattr(facts, name)) for _, name in TABLES}
    with pytest.MonkeyPatch.context() as patch:
        for module, name in TABLES:
            patch.setattr(module, name, recording[name])
        plan_library(replace(torch_library))
    return recording


@pytest.mark.parametrize("name", [name for _, name in TABLES])
def test_every_fact_is_needed(tables: dict[str, Recording], name: str):
    table = tables[name]

    assert table
    assert sorted(table.used) == sorted(table)


def test_every_refused_argument_is_passed(torch_plan: LibraryPlan):
    calls = {
        method.called: {argument.text.rpartition("=")[2] for argument in method.passed}
        for file in torch_plan.files
        for layer in file.layers
        for method in layer.methods
        if method.called
    }

    assert {name: set(refused) for name, refused in facts.STUBS_REFUSE.items()} == {
        name: passed & set(facts.STUBS_REFUSE[name]) for name, passed in calls.items()
    }


def test_every_class_that_is_named_exists(torch_library: Library, torch_plan: LibraryPlan):
    named = [
        *facts.ALSO_WRITTEN,
        *facts.SKIPPED,
        *facts.WITHOUT_PAGE,
        *facts.MIXINS,
    ]

    assert [name for name in named if torch_library.find(name) is None] == []


def test_every_skipped_class_is_skipped(torch_plan: LibraryPlan):
    assert {item.original for item in torch_plan.skipped} == set(facts.SKIPPED)


def test_what_a_hand_written_part_gives_is_read(torch_plan: LibraryPlan):
    written = {
        layer.original: [method.returned for method in layer.methods]
        for file in torch_plan.files
        for layer in file.layers
    }
    reads = {
        f"torch.nn.{name.rpartition('.')[2]}": part.reads.values()
        for name, part in facts.MIXINS.items()
        if part.reads
    }

    assert reads
    for original, given in reads.items():
        assert [name for name in given if not any(name in text for text in written[original])] == []

"""Every program gives its rows as data, here in its smallest form; no time is asserted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from packaged import Archives
from tables_of import names_in, numbers_in


def test_overhead() -> None:
    import overhead

    first, *_ = tables = overhead.tables(2)

    assert [table.title for table in tables] == [case.name for case in overhead.cases()]
    assert names_in(first)[:3] == ["plain", "torch.func.functional_call", "Learner.functional"]
    assert all(number > 0 for number in numbers_in(first))
    assert [row.limit is None for row in first.rows] == [True, True, False, False, True]


def test_first_order() -> None:
    import first_order

    (table,) = first_order.tables(1, batch=1, layers=1)

    assert names_in(table)[0] == "plain"
    assert [row.limit is None for row in table.rows] == [True, False, False, False]


def test_meta_step_names_who_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import meta_step

    def is_installed(name: str) -> bool:
        return name not in ("higher", "TorchOpt")

    monkeypatch.setattr(meta_step, "is_installed", is_installed)
    case = replace(meta_step.cases()[0], calls=1)
    (table,) = meta_step.tables([case], 1, (1,), math.inf)

    assert "torch.func: a loop of functional_call (best peer)" in names_in(table)
    missing = [row.cells[0] for row in table.rows if row.cells[1] == "not installed"]
    assert missing == ["higher", "TorchOpt"]
    assert len([row for row in table.rows if row.limit]) == 3
    assert table.note == "1 thread, 1 rounds"


def test_meta_step_measures_one_round_however_little_time_there_is() -> None:
    import meta_step

    case = replace(meta_step.cases()[0], contestants=(meta_step.OURS,))
    given = case.problem()

    assert len(meta_step.measure(case, given, [meta_step.OURS], 5, 0.0)[meta_step.OURS]) == 1


def test_memory_of_one_meta_step_and_of_some() -> None:
    import memory

    one = memory.measured("one", memory.CHECKPOINT, 1, 1, 16)
    many = memory.measured("many", "metann", 20)

    assert one["bytes"] > 0
    assert set(one) == {"seconds", "resident", "bytes"}
    assert set(many) == {"bytes", "early", "late"}


def test_the_table_of_memory_has_what_a_step_adds_held_against_its_limit() -> None:
    import memory

    weights = sum(p.nbytes for p in memory.photographs(1, 16).model.parameters())
    found = {
        (name, steps): {"bytes": 1e6 + 1.1 * weights * steps, "resident": 2e6, "seconds": 0.5}
        for name in (*memory.OURS, memory.FIRST_ORDER)
        for steps in (1, 2, 5)
    }
    table = memory.table_of(found, [1, 2, 5], 16, peers=True)

    assert names_in(table)[:2] == ["metann", memory.CHECKPOINT]
    (limit,) = [row.limit for row in table.rows if row.limit]
    assert limit.found == pytest.approx(1.1)
    assert table.rows[-1].cells[1] == "not installed"
    assert all(len(row.cells) == len(table.columns) for row in table.rows)


def test_implicit() -> None:
    import implicit

    first, second = implicit.tables(1, most=1)

    assert [row.cells[:2] for row in first.rows] == [
        (1, "unrolled"),
        (1, "first order"),
        (1, "implicit"),
    ]
    assert all(number > 0 for number in numbers_in(second))


def test_mixed_mode() -> None:
    import mixed_mode

    (table,) = mixed_mode.tables(1, 1, most=2)

    assert names_in(table) == [*mixed_mode.CASES]
    assert all(len(row.cells) == len(table.columns) for row in table.rows)


def test_compiled() -> None:
    import compiled

    torch.manual_seed(0)
    (table,) = compiled.tables(1, "eager", [1])

    assert names_in(table) == [1]
    assert all(number > 0 for number in numbers_in(table))


def test_foreach_leaves_the_choice_as_it_was() -> None:
    import foreach_kernels

    from metann.optim import foreach

    before = foreach.LEAST_NUMBER, foreach.LARGEST_MEAN_SIZE
    (table,) = foreach_kernels.tables(1, [(2, 3)])

    assert names_in(table) == ["2 of 3"]
    assert before == (foreach.LEAST_NUMBER, foreach.LARGEST_MEAN_SIZE)


def test_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    import generator

    # `make check` runs the command itself: half a minute.
    monkeypatch.setattr(generator, "seconds_of_the_check", lambda: 1.5)
    (table,) = generator.tables(1)

    assert table.rows[0].cells[1] == 1.5
    assert all(number > 0 for number in numbers_in(table))


def test_imports_add_up() -> None:
    import importing

    (table,) = importing.tables(1)
    _, *added = numbers_in(table)

    assert names_in(table)[:2] == ["import torch", "import metann"]
    assert added == sorted(added)
    assert [row.limit is None for row in table.rows] == [True, False, False, True, True, True]


def test_conversion() -> None:
    import conversion

    converted, called = conversion.tables(conversion.cases()[:1], 1)

    assert [row.cells[1] for row in converted.rows] == [200] * 3
    assert [row.cells[2] for row in converted.rows if row.limit] == [conversion.IN_PLACE]
    assert names_in(called) == ["200 modules"]


@pytest.mark.parametrize(("name", "millions"), [("ResNet18", 11.69), ("GPT2", 124.44)])
def test_the_big_models_have_the_sizes_of_their_names(name: str, millions: float) -> None:
    import big_models

    with torch.device("meta"):
        model = getattr(big_models, name)()

    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_models_in_small_are_the_same_function_through_metann() -> None:
    from big_models import GPT2, ResNet18

    from metann import Learner

    torch.manual_seed(0)
    cases = [
        (ResNet18(3).eval(), torch.randn(2, 3, 32, 32)),
        (GPT2(words=11, longest=6, width=64, layers=2).eval(), torch.randint(11, (2, 5))),
    ]
    for model, x in cases:
        assert torch.equal(Learner(model).functional(model.parameters(), False, x), model(x))


def test_checking() -> None:
    import checking

    (table,) = checking.tables(1, "pyrefly")

    assert names_in(table) == ["pyrefly"]
    assert table.rows[0].limit


def test_the_wheel_is_the_sum_of_its_parts(archives: Archives) -> None:
    import wheel

    table = wheel.table_of(archives.wheel)
    whole, *parts = [row.cells for row in table.rows]

    assert whole[2] == archives.wheel.stat().st_size / 1e3
    assert sum(part[2] for part in parts) == pytest.approx(whole[2])
    assert "metann/codegen" in names_in(table)

"""Classes for meta-training and for meta-test."""

from __future__ import annotations

import re

import pytest

from metann.errors import TaskError
from metann.tasks import split_classes


def test_parts_have_their_sizes_and_no_class_in_common() -> None:
    train, validation, test = split_classes(range(100), 64, 16, 20)

    assert [len(train), len(validation), len(test)] == [64, 16, 20]
    assert sorted(train + validation + test) == [*range(100)]
    assert train != sorted(train)


def test_what_is_left_over_is_in_no_part() -> None:
    (only,) = split_classes("abcdef", 4)

    assert len({*only}) == 4
    assert {*only} < {*"abcdef"}


def test_the_seed_decides() -> None:
    assert split_classes(range(50), 25, 25, seed=1) == split_classes(range(50), 25, 25, seed=1)
    assert split_classes(range(50), 25, 25, seed=1) != split_classes(range(50), 25, 25, seed=2)


def test_more_classes_than_there_are_is_refused() -> None:
    message = "6 + 5 = 11 classes asked for, but there are 10; give smaller sizes, or more classes"
    with pytest.raises(TaskError, match="^" + re.escape(message)):
        split_classes(range(10), 6, 5)


def test_an_empty_part_is_refused() -> None:
    message = "sizes[1]=0: at least one is needed; give sizes[1]=1 or more"
    with pytest.raises(TaskError, match="^" + re.escape(message)):
        split_classes(range(10), 6, 0)

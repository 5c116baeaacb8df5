"""Where labels are found, and that no sample is loaded where there is another way."""

from __future__ import annotations

import pytest
import torch
from labelled import Pairs, WithLabels, WithTargets
from torch.utils.data import Subset, TensorDataset

from metann.tasks import FewShot
from metann.tasks.labels import by_class, labels_of

WORDS = ["b", "a", "b", "c"]
NUMBERS = [3, 1, 3, 0]


def test_samples_are_grouped_by_label_in_the_order_in_which_labels_occur() -> None:
    assert by_class(WORDS) == {"b": [0, 2], "a": [1], "c": [3]}
    assert [*by_class(WORDS)] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "dataset",
    [
        WithTargets(NUMBERS),
        WithTargets(NUMBERS, torch.tensor(NUMBERS)),
        WithTargets(NUMBERS, tuple(NUMBERS)),
        WithLabels(NUMBERS),
        WithLabels(NUMBERS, torch.tensor(NUMBERS).numpy()),
        WithTargets(NUMBERS, [torch.tensor(number) for number in NUMBERS]),
    ],
    ids=["list", "tensor", "tuple", "labels", "array", "tensors"],
)
def test_an_attribute_says_the_labels_and_nothing_is_loaded(dataset: Pairs) -> None:
    assert labels_of(dataset) == NUMBERS
    assert dataset.loaded == 0


def test_without_an_attribute_every_sample_is_loaded_once() -> None:
    dataset = Pairs(WORDS)

    assert labels_of(dataset) == WORDS
    assert dataset.loaded == 4


def test_tensors_with_the_same_number_are_the_same_class() -> None:
    assert labels_of(Pairs([torch.tensor(number) for number in NUMBERS])) == NUMBERS
    assert labels_of(Pairs([*torch.tensor(NUMBERS).numpy()])) == NUMBERS


def test_a_dataset_of_tensors_has_its_labels_in_the_second() -> None:
    assert labels_of(TensorDataset(torch.zeros(4, 2), torch.tensor(NUMBERS))) == NUMBERS


def test_a_subset_has_the_labels_of_what_it_is_of() -> None:
    dataset = WithTargets(WORDS)

    assert labels_of(Subset(Subset(dataset, [3, 2, 0]), [0, 2])) == ["c", "b"]
    assert dataset.loaded == 0
    assert labels_of(Subset(Pairs(WORDS), [3, 0])) == ["c", "b"]


@pytest.mark.parametrize(
    "given",
    [NUMBERS, torch.tensor(NUMBERS), lambda index: NUMBERS[index]],
    ids=["list", "tensor", "function"],
)
def test_labels_that_are_given_come_first(given: object) -> None:
    dataset = WithTargets(WORDS)

    assert labels_of(dataset, given) == NUMBERS
    assert dataset.loaded == 0


def test_labels_are_looked_up_when_tasks_are_made_and_not_again() -> None:
    dataset = Pairs(WORDS[:3] * 4)
    few = FewShot(dataset, 2, 1, 1, tasks=5)
    before = dataset.loaded
    _ = few[0]

    assert before == 12
    assert dataset.loaded == 12 + 2 * 2, "the samples of the task alone"

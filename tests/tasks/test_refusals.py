"""What cannot be drawn from a dataset: each message says what was asked, found, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
import torch
from labelled import Pairs, WithTargets, numbered
from torch.utils.data import TensorDataset

from metann.errors import MetannError, TaskError
from metann.tasks import FewShot


def of(labels: Sequence[object], ways: int = 2, shots: int = 1, queries: int = 2) -> FewShot:
    return FewShot(Pairs(labels), ways, shots, queries)


def task_of(*inputs: object) -> object:
    """A task of two classes, each of which has one of these inputs for all its samples."""
    return FewShot([(x, label) for label, x in enumerate(inputs) for _ in range(2)], 2, 1, 1)[0]


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a class with too few samples": (
        lambda: of(["owl"] * 3 + ["cat"] * 2 + ["dog"] * 3),
        "shots=1 and queries=2: a task takes 3 different samples of a class, but there are fewer "
        "of 'cat' (2 of 'cat'); ask for fewer, or choose others by classes=",
    ),
    "many classes with too few samples": (
        lambda: of([*range(6), 3]),
        "shots=1 and queries=2: a task takes 3 different samples of a class, but there are fewer "
        "of 0, 1, 2 and 3 more (1 of 0); ask for fewer, or choose others by classes=",
    ),
    "more ways than classes": (
        lambda: of(["a"] * 3 + ["b"] * 3, ways=3),
        "ways=3: each task has so many different classes, but there are only 2 to choose from; "
        "give ways=2 or fewer, or more classes",
    ),
    "more ways than chosen classes": (
        lambda: FewShot(numbered(9, 9), 5, 1, 1, classes=[1, 2, 3, 4]),
        "ways=5: each task has so many different classes, but there are only 4 to choose from; "
        "give ways=4 or fewer, or more classes",
    ),
    "an empty dataset": (
        lambda: of([]),
        "the dataset is empty: tasks are drawn from its samples; fill it first",
    ),
    "no classes": (
        lambda: FewShot(numbered(9, 9), 5, 1, 1, classes=[]),
        "classes is empty: tasks are drawn from classes; name some, or give None for all",
    ),
    "an unknown class": (
        lambda: FewShot(numbered(3, 9), 1, 1, 1, classes=[2, 7]),
        "classes: 7 asked for, but there is no such class; choose among 0, 1, 2",
    ),
    "no queries": (
        lambda: FewShot(numbered(3, 9), 1, 1, queries=0),
        "queries=0: at least one is needed; give queries=1 or more",
    ),
    "too few labels": (
        lambda: FewShot(numbered(3, 9), 1, 1, 1, labels=[0, 1]),
        "there are 2 labels for 27 samples; give labels=, a sequence with one for each sample, or "
        "a function from the index of a sample to its label",
    ),
    "an attribute with too many labels": (
        lambda: FewShot(WithTargets([0, 1], [0, 1, 2]), 1, 1, 1),
        "there are 3 labels for 2 samples; give labels=, a sequence with one for each sample, or "
        "a function from the index of a sample to its label",
    ),
    "labels of several numbers": (
        lambda: FewShot(TensorDataset(torch.zeros(3, 1), torch.eye(3).long()), 1, 1, 1),
        "the label of sample 0 is [1, 0, 0], where one value is looked for, such as a number or a "
        "name; give labels=, with one for each sample",
    ),
    "labels that are tensors of several numbers": (
        lambda: of([torch.tensor([0, 1])]),
        "the label of sample 0 is tensor([0, 1]), where one value is looked for, such as a number "
        "or a name; give labels=, with one for each sample",
    ),
    "samples without a label": (
        lambda: FewShot(TensorDataset(torch.zeros(3, 1)), 1, 1, 1),
        "sample 0 of the dataset is not a pair (x, y), so it does not say its class; it is a "
        "tuple of 1; give labels=",
    ),
    "samples that are no tuples": (
        lambda: FewShot([{"image": 1, "label": 2}], 1, 1, 1),
        "sample 0 of the dataset is not a pair (x, y), so it does not say its class; it is a "
        "dict; give labels=",
    ),
    "unequal shares": (
        lambda: FewShot(numbered(3, 9), 1, 1, 1, tasks=100, world_size=3),
        "tasks=100: 3 ranks cannot have equally many of them; give tasks=99",
    ),
    "fewer tasks than ranks": (
        lambda: FewShot(numbered(3, 9), 1, 1, 1, tasks=2, world_size=3),
        "tasks=2: 3 ranks cannot have equally many of them; give tasks=3",
    ),
    "a rank too many": (
        lambda: FewShot(numbered(3, 9), 1, 1, 1, rank=2, world_size=2),
        "rank=2: the ranks of 2 processes are 0 to 1; give torch.distributed.get_rank() and "
        "get_world_size()",
    ),
    "inputs of different shapes": (
        lambda: task_of(torch.zeros(1, 28, 28), torch.zeros(1, 28, 30)),
        "the inputs of a task must be of one shape, but sample",
    ),
    "an input that is no tensor": (
        lambda: task_of({"pixels": 1}, {"pixels": 1}),
        "is a dict, which is no tensor, array or number; give the dataset a transform that makes "
        "it one",
    ),
    "an input of a type unknown to torch": (
        lambda: task_of(object(), object()),
        "is a object, which is no tensor, array or number; give the dataset a transform that "
        "makes it one",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_refused_with_what_to_do(case: str) -> None:
    asked, message = REFUSED[case]

    with pytest.raises(TaskError, match=re.escape(message)):
        asked()


def test_shapes_that_differ_are_named() -> None:
    pattern = r"sample \d has \(1, 28, \d+\) and sample \d has \(1, 28, \d+\); bring them"
    with pytest.raises(TaskError, match=pattern):
        task_of(torch.zeros(1, 28, 28), torch.zeros(1, 28, 30))


def test_the_error_is_a_value_error_and_one_of_metanns() -> None:
    assert issubclass(TaskError, ValueError)
    assert issubclass(TaskError, MetannError)

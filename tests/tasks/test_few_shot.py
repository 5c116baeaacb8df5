"""Tasks from labelled datasets: what is in them, and what decides it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from labelled import Pairs, numbered
from torch import Tensor
from torch.utils.data import Subset

from metann.tasks import Episodes, Examples, FewShot

CLASSES, EACH = 10, 12


def made(tasks: int = 50, seed: int = 0, **more: object) -> FewShot:
    return FewShot(numbered(CLASSES, EACH), 4, shots=2, queries=3, tasks=tasks, seed=seed, **more)


def samples(examples: Examples) -> Tensor:
    """The numbers of the samples that these are."""
    return examples.inputs.flatten().long()


def test_a_task_has_its_own_labels_in_order() -> None:
    task = made()[0]

    assert isinstance(task, Episodes)
    assert task.support.inputs.shape == (8, 1)
    assert task.query.inputs.shape == (12, 1)
    assert task.support.targets.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert task.query.targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_samples_of_a_label_are_of_one_class_in_support_and_query() -> None:
    for support, query in made():
        classes = (samples(support) % CLASSES).view(4, 2)[:, 0]

        assert len(classes.unique()) == 4, "the classes of a task differ"
        assert torch.equal(samples(support) % CLASSES, classes.repeat_interleave(2))
        assert torch.equal(samples(query) % CLASSES, classes.repeat_interleave(3))


def test_no_sample_is_twice_in_a_task() -> None:
    for support, query in made(tasks=200):
        assert len({*samples(support).tolist(), *samples(query).tolist()}) == 8 + 12


def test_a_class_with_just_enough_samples_gives_all_of_them() -> None:
    few = FewShot(numbered(3, 5), 3, shots=2, queries=3, tasks=20)

    for support, query in few:
        assert sorted(samples(support).tolist() + samples(query).tolist()) == [*range(15)]


def test_every_class_has_every_label_equally_often() -> None:
    tasks = 4000
    counts: Counter[tuple[int, int]] = Counter()
    few = made(tasks=tasks)
    for index in range(tasks):
        support, _ = few.chosen(index)
        counts.update((label, row[0] % CLASSES) for label, row in enumerate(support))

    expected, spread = tasks / CLASSES, (tasks * 0.1 * 0.9) ** 0.5
    assert len(counts) == 4 * CLASSES
    assert max(abs(count - expected) for count in counts.values()) < 4 * spread


def test_every_sample_is_in_support_and_query_equally_often() -> None:
    tasks = 3000
    few = made(tasks=tasks)
    for part, each in ((0, 2), (1, 3)):
        counts = Counter(
            number for index in range(tasks) for row in few.chosen(index)[part] for number in row
        )
        chance = 4 / CLASSES * each / EACH

        assert len(counts) == CLASSES * EACH
        spread = (tasks * chance * (1 - chance)) ** 0.5
        assert max(abs(n - tasks * chance) for n in counts.values()) < 4.5 * spread


def test_only_the_classes_that_are_given_occur() -> None:
    few = made(tasks=100, classes=[8, 1, 3, 5, 6])
    seen = {int(number) % CLASSES for support, _ in few for number in samples(support)}

    assert few.classes == [8, 1, 3, 5, 6]
    assert seen == {1, 3, 5, 6, 8}


def test_meta_train_and_meta_test_share_no_sample() -> None:
    train, test = made(classes=range(5)), made(classes=range(5, 10))

    def all_of(few: FewShot) -> set[int]:
        return {int(n) for task in few for part in task for n in samples(part)}

    assert len(all_of(train)) > 50
    assert all_of(train).isdisjoint(all_of(test))


def test_classes_may_have_names() -> None:
    names = ["cat", "dog", "owl"]
    few = FewShot(Pairs([names[number % 3] for number in range(30)]), 2, 1, 2, tasks=30)

    assert few.classes == names
    for support, _ in few:
        assert len({number % 3 for number in samples(support).tolist()}) == 2


def test_a_subset_of_a_dataset_gives_its_own_samples_only() -> None:
    subset = Subset(numbered(CLASSES, EACH), [*range(60)])
    few = FewShot(subset, 4, 2, 3, tasks=100)

    assert {int(n) for task in few for part in task for n in samples(part)} == {*range(60)}


# ── what decides ─────────────────────────────────────────────────────────────────────────────


def numbers(few: FewShot) -> list[object]:
    return [few.chosen(index) for index in range(len(few))]


def test_the_same_seed_gives_the_same_tasks_in_any_order() -> None:
    forwards, backwards = made(seed=3), made(seed=3)

    there = [forwards.chosen(index) for index in range(50)]
    back = [backwards.chosen(index) for index in reversed(range(50))]
    assert there == back[::-1]


def test_tasks_differ_from_each_other_and_from_those_of_other_seeds() -> None:
    several = [str(row) for seed in range(4) for row in numbers(made(seed=seed))]

    assert len({*several}) == 4 * 50


def test_each_epoch_has_tasks_of_its_own() -> None:
    few = made()
    epochs: list[list[object]] = []
    for epoch in (0, 1, 0):
        few.set_epoch(epoch)
        epochs.append(numbers(few))

    assert epochs[0] == epochs[2]
    assert not any(row in epochs[0] for row in epochs[1])


def test_no_generator_of_the_program_is_used() -> None:
    before = torch.get_rng_state()
    first = numbers(made())
    torch.manual_seed(77)
    again = numbers(made())
    torch.set_rng_state(before)

    assert first == again


def test_it_is_a_sequence_of_tasks() -> None:
    few = made(tasks=5)

    assert len(few) == 5
    assert len([*few]) == 5
    assert torch.equal(few[-1].query.inputs, few[4].query.inputs)
    with pytest.raises(IndexError):
        few[5]

"""Episodes: what torch makes of them, and how they are moved and taken apart."""

from __future__ import annotations

import pickle

import torch
from torch.utils.data import default_collate

from metann.tasks import Episodes, Examples


def drawn(tasks: int) -> Episodes:
    """Random inputs, and labels."""
    return Episodes(
        Examples(torch.randn(tasks, 3, 2), torch.arange(3).repeat(tasks, 1)),
        Examples(torch.randn(tasks, 5, 2), torch.arange(5).repeat(tasks, 1)),
    )


def test_they_are_unpacked_as_support_and_query_of_inputs_and_targets() -> None:
    episodes = drawn(4)
    (x, y), (query_x, query_y) = episodes

    assert episodes.tasks == 4
    assert x is episodes.support.inputs
    assert y is episodes.support.targets
    assert query_x is episodes.query.inputs
    assert query_y is episodes.query.targets


def test_one_task_has_no_task_axis() -> None:
    episodes = drawn(4)
    task = episodes.task(2)

    assert isinstance(task.support, Examples)
    assert torch.equal(task.support.inputs, episodes.support.inputs[2])
    assert torch.equal(task.query.targets, episodes.query.targets[2])


def test_tasks_collated_by_torch_are_episodes_again() -> None:
    episodes = drawn(4)
    again = default_collate([episodes.task(index) for index in range(4)])

    assert isinstance(again, Episodes)
    assert isinstance(again.query, Examples)
    assert torch.equal(again.query.inputs, episodes.query.inputs)
    assert torch.equal(again.support.targets, episodes.support.targets)


def test_vmap_goes_over_tasks() -> None:
    episodes = drawn(4)

    sums = torch.vmap(lambda task: task.support.inputs.sum() + task.query.inputs.sum())(episodes)

    assert sums.shape == (4,)
    assert torch.allclose(
        sums[1], episodes.task(1).support.inputs.sum() + episodes.task(1).query.inputs.sum()
    )


def test_labels_keep_their_dtype_where_inputs_are_converted() -> None:
    episodes = drawn(2)
    converted = episodes.to(dtype=torch.float64)

    assert converted.support.inputs.dtype == torch.float64
    assert converted.query.targets.dtype == torch.int64
    assert torch.equal(converted.query.inputs.float(), episodes.query.inputs)


def test_they_can_be_moved_to_another_device() -> None:
    moved = drawn(2).to("meta")

    assert isinstance(moved, Episodes)
    assert {tensor.device.type for part in moved for tensor in part} == {"meta"}


def test_they_can_be_pickled() -> None:
    episodes = drawn(2)
    again = pickle.loads(pickle.dumps(episodes))

    assert isinstance(again, Episodes)
    assert torch.equal(again.query.inputs, episodes.query.inputs)

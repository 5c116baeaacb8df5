"""Tasks through `torch.utils.data`: workers, ranks, epochs, and what becomes of inputs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from labelled import numbered
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from metann.tasks import Episodes, FewShot


def made(tasks: int = 12, **more: int) -> FewShot:
    return FewShot(numbered(10, 12), 4, shots=2, queries=3, tasks=tasks, **more)


def drawn(few: FewShot, workers: int = 0) -> list[Episodes]:
    return [*DataLoader(few, batch_size=4, num_workers=workers)]


def rows(batches: Sequence[Episodes]) -> list[list[float]]:
    """The samples in support and query of each task."""
    both = [torch.cat([b.support.inputs, b.query.inputs], dim=1).flatten(1) for b in batches]
    return torch.cat(both).tolist()


def test_a_batch_is_episodes_with_a_task_axis() -> None:
    batches = drawn(made())

    assert len(batches) == 3
    for batch in batches:
        assert isinstance(batch, Episodes)
        assert batch.support.inputs.shape == (4, 8, 1)
        assert batch.query.inputs.shape == (4, 12, 1)
        assert batch.support.targets.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]] * 4
        assert batch.query.targets.shape == (4, 12)


def test_any_number_of_workers_gives_the_same_tasks_none_of_them_twice() -> None:
    few = made()
    alone, together = rows(drawn(few)), rows(drawn(few, workers=2))

    assert alone == together
    assert len({str(row) for row in together}) == 12


def test_persistent_workers_notice_the_epoch() -> None:
    few = made()
    loader = DataLoader(few, batch_size=4, num_workers=1, persistent_workers=True)
    epochs: list[list[list[float]]] = []
    for epoch in (0, 1):
        few.set_epoch(epoch)
        epochs.append(rows([*loader]))
    few.set_epoch(1)

    assert epochs[1] == rows(drawn(few))
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_have_different_tasks_and_together_those_of_one_process(world_size: int) -> None:
    alone = rows(drawn(made()))
    shares = [rows(drawn(made(rank=r, world_size=world_size))) for r in range(world_size)]

    assert [len(share) for share in shares] == [12 // world_size] * world_size
    assert [row for step in zip(*shares, strict=True) for row in step] == alone


def test_torchs_own_distributed_sampler_shares_them_out_too() -> None:
    few = made()
    samplers = [DistributedSampler(few, 2, rank, shuffle=False) for rank in range(2)]
    shares = [rows([*DataLoader(few, 3, sampler=sampler)]) for sampler in samplers]

    assert [row for step in zip(*shares, strict=True) for row in step] == rows(drawn(few))


# ── inputs ───────────────────────────────────────────────────────────────────────────────────


def inputs_of(samples: Sequence[object]) -> Tensor:
    return FewShot(samples, 1, 1, 1, tasks=1)[0].support.inputs


def test_arrays_and_numbers_become_tensors() -> None:
    array = torch.zeros(2, 3).numpy()

    assert inputs_of([(array, "a"), (array, "a")]).shape == (1, 2, 3)
    assert inputs_of([(1.5, "a"), (1.5, "a")]).tolist() == [1.5]
    assert inputs_of([(7, "a"), (7, "a")]).tolist() == [7]


def test_a_sample_may_have_more_parts_than_two() -> None:
    assert inputs_of([[torch.ones(3), "a", "by whom"]] * 2).shape == (1, 3)


def test_with_labels_given_a_sample_may_be_the_input_alone() -> None:
    images = torch.arange(12.0).view(6, 2)
    few = FewShot(images, 2, shots=1, queries=2, labels=[0, 0, 0, 1, 1, 1], tasks=4)

    for support, query in few:
        assert support.inputs.shape == (2, 2)
        assert query.inputs.shape == (4, 2)

"""N-way K-shot tasks from any labelled dataset, for a DataLoader."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence

import torch
from torch.utils.data import Dataset

from metann.errors import TaskError
from metann.tasks.checks import named, require_classes, require_counts, require_ways
from metann.tasks.episodes import Episodes, Examples
from metann.tasks.labels import Labels, Samples, by_class, labels_of
from metann.tasks.loading import stacked_inputs


class FewShot(Dataset[Episodes]):
    """A dataset of tasks: each is N classes of another dataset, with K labelled samples of each.

    It is an ordinary dataset of so many tasks, so that everything of `torch.utils.data` holds for
    it. `DataLoader(few_shot, batch_size=T, num_workers=4)` gives `Episodes` of T tasks with a
    leading task axis, the same ones with any number of workers. A task depends on `seed`, the
    epoch and its own number, and on nothing else.

    Args:
        dataset: samples (x, y); x a tensor, an array or a number, of one shape within a task.
        ways: classes of each task, N. Its labels are 0 to N - 1, in random order.
        shots: samples of each class to adapt on, K.
        queries: other samples of each class to measure on.
        tasks: how many there are, over all ranks.
        seed: of the choice of classes and samples. Random transforms of the dataset draw from
            the generators of the workers, which `DataLoader(generator=...)` seeds.
        classes: the labels that may occur, see `split_classes`; None for all.
        labels: one for each sample, or a function from the index of a sample to its label. None
            for the dataset's attribute `targets` or `labels`; without one, all samples are loaded.
        rank, world_size: of this process. Rank r has the tasks r, r + world_size, ...: all ranks
            together have those that one process would have, and none twice.

    Raises:
        TaskError: what is asked for cannot be drawn: the dataset is empty, a class has too few
            samples or does not exist, a task has more classes than there are, or ranks would have
            different numbers of tasks.

    Example:
        >>> meta_train, meta_test = split_classes(range(1000), 800, 200)
        >>> few_shot = FewShot(dataset, ways=5, shots=1, queries=15, classes=meta_train)
        >>> for support, query in DataLoader(few_shot, batch_size=32, num_workers=4):
        ...     loss = maml.task_losses(support, query).mean()
    """

    def __init__(
        self,
        dataset: Samples,
        ways: int,
        shots: int,
        queries: int,
        *,
        tasks: int = 10_000,
        seed: int = 0,
        classes: Sequence[Hashable] | None = None,
        labels: Labels | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        require_counts(ways=ways, shots=shots, queries=queries, tasks=tasks, world_size=world_size)
        _require_equal_shares(tasks, rank, world_size)
        places = by_class(labels_of(dataset, labels))
        chosen = [*places] if classes is None else require_classes(classes, places)
        require_ways(ways, len(chosen))
        _require_samples({name: len(places[name]) for name in chosen}, shots, queries)
        self.dataset = dataset
        self.classes: list[Hashable] = [*chosen]
        self.ways: int = ways
        self.shots: int = shots
        self.queries: int = queries
        self.seed: int = seed
        self._samples = [places[name] for name in chosen]
        self._numbers = range(rank, tasks, world_size)
        # In shared memory, so that workers that live on from epoch to epoch see it change.
        self._epoch = torch.zeros((), dtype=torch.int64, device="cpu")
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # torch has no types for it

    def set_epoch(self, epoch: int) -> None:
        """Have other tasks from now on: call it before each run through a DataLoader.

        As of `torch.utils.data.DistributedSampler`, but also seen by persistent workers.
        """
        self._epoch.fill_(epoch)

    def chosen(self, index: int) -> tuple[list[list[int]], list[list[int]]]:
        """Which samples a task is made of, for support and query: a row for each of its labels."""
        number, ends = self._numbers[index], self.shots + self.queries
        dice = random.Random(f"{self.seed} {int(self._epoch)} {number}")
        drawn = [dice.sample(samples, ends) for samples in dice.sample(self._samples, self.ways)]
        return [row[: self.shots] for row in drawn], [row[self.shots :] for row in drawn]

    def __len__(self) -> int:
        """The number of tasks of this rank."""
        return len(self._numbers)

    def __getitem__(self, index: int) -> Episodes:
        """A task, without the task axis, which the DataLoader adds."""
        support, query = self.chosen(index)
        return Episodes(self._load(support), self._load(query))

    def _load(self, chosen: list[list[int]]) -> Examples:
        targets = [label for label, row in enumerate(chosen) for _ in row]
        samples = {index: self.dataset[index] for row in chosen for index in row}
        return Examples(stacked_inputs(samples), torch.tensor(targets))


def _require_samples(counts: dict[Hashable, int], shots: int, queries: int) -> None:
    """Every class has enough samples for support and query."""
    short = [name for name, count in counts.items() if count < shots + queries]
    if short:
        raise TaskError(
            f"shots={shots} and queries={queries}: a task takes {shots + queries} different "
            f"samples of a class, but there are fewer of {named(short)} "
            f"({counts[short[0]]} of {short[0]!r}); ask for fewer, or choose others by classes="
        )


def _require_equal_shares(tasks: int, rank: int, world_size: int) -> None:
    """Every rank has as many tasks as the others, or they would wait for each other for ever."""
    if not 0 <= rank < world_size:
        raise TaskError(
            f"rank={rank}: the ranks of {world_size} processes are 0 to {world_size - 1}; "
            f"give torch.distributed.get_rank() and get_world_size()"
        )
    if tasks % world_size:
        raise TaskError(
            f"tasks={tasks}: {world_size} ranks cannot have equally many of them; "
            f"give tasks={max(tasks - tasks % world_size, world_size)}"
        )

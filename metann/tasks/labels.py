"""Which class each sample of a dataset is of, and the samples of each class."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, cast

from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from metann.errors import TaskError


class Samples(Protocol):
    """A dataset that can be asked for any sample: an input and its label, and maybe more."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> object: ...


Labels = Sequence[Hashable] | Tensor | Callable[[int], Hashable]


def by_class(labels: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """The places of each label, in the order in which labels occur first.

    Example: `["b", "a", "b"]` -> `{"b": [0, 2], "a": [1]}`
    """
    places: dict[Hashable, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    return places


def labels_of(dataset: Samples, labels: Labels | None = None) -> list[Hashable]:
    """The label of each sample.

    Args:
        dataset: samples (x, y).
        labels: one for each sample, or a function from the index of a sample to its label. None
            for the dataset's attribute `targets` or `labels`; without one, all samples are loaded.

    Raises:
        TaskError: there are no samples, or not as many labels, or a label is not one value.
    """
    if len(dataset) == 0:
        raise TaskError("the dataset is empty: tasks are drawn from its samples; fill it first")
    known = _known_labels(dataset) if labels is None else _given_labels(labels, len(dataset))
    if known is None:
        known = [_target_of(dataset[index], index) for index in range(len(dataset))]
    if len(known) != len(dataset):
        raise TaskError(
            f"there are {len(known)} labels for {len(dataset)} samples; give labels=, a sequence "
            f"with one for each sample, or a function from the index of a sample to its label"
        )
    return [_value_of(label, index) for index, label in enumerate(known)]


def _given_labels(labels: Labels, samples: int) -> list[object]:
    if callable(labels):
        return [labels(index) for index in range(samples)]
    return _listed(labels)


def _known_labels(dataset: object) -> list[object] | None:
    """The labels that can be had without loading a sample, if there are any."""
    if isinstance(dataset, Subset):
        subset = cast("Subset[object]", dataset)
        known = _known_labels(subset.dataset)
        return None if known is None else [known[index] for index in subset.indices]
    if isinstance(dataset, TensorDataset):
        return _listed(dataset.tensors[1]) if len(dataset.tensors) > 1 else None
    for name in ("targets", "labels"):
        found: Iterable[object] | None = getattr(dataset, name, None)
        if found is not None:
            return _listed(found)
    return None


def _listed(labels: Iterable[object]) -> list[object]:
    """The labels in a tensor, an array or a sequence; Python's numbers, where there are numbers."""
    tolist: Callable[[], list[object]] | None = getattr(labels, "tolist", None)
    return tolist() if tolist is not None else [*labels]


def _target_of(sample: object, index: int) -> object:
    """What stands second in a sample."""
    parts = parts_of(sample)
    if len(parts) < 2:
        size = f" of {len(parts)}" if parts is sample else ""
        raise TaskError(
            f"sample {index} of the dataset is not a pair (x, y), so it does not say its class; "
            f"it is a {type(sample).__name__}{size}; give labels="
        )
    return parts[1]


def parts_of(sample: object) -> Sequence[object]:
    """A sample (x, y, ...) in parts; whatever is neither tuple nor list is one part."""
    return cast("Sequence[object]", sample) if isinstance(sample, tuple | list) else (sample,)


def _value_of(label: object, index: int) -> Hashable:
    """A label by its value. Two tensors are never the same key of a dictionary."""
    item: Callable[[], object] | None = getattr(label, "item", None)
    value = item() if item is not None and getattr(label, "shape", None) == () else label
    if isinstance(value, Tensor) or not isinstance(value, Hashable):
        raise TaskError(
            f"the label of sample {index} is {label!r}, where one value is looked for, such as a "
            f"number or a name; give labels=, with one for each sample"
        )
    return value

"""What is asked of a sampler, checked before anything is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import TypeVar

from metann.errors import TaskError
from metann.tasks.drawing import Range

ClassT = TypeVar("ClassT", bound=Hashable)


def require_counts(**counts: int) -> None:
    """Every count is at least one."""
    for name, count in counts.items():
        if count < 1:
            raise TaskError(f"{name}={count}: at least one is needed; give {name}=1 or more")


def require_ranges(**ranges: Range) -> None:
    """Every range goes upwards."""
    for name, (low, high) in ranges.items():
        if not low <= high:
            raise TaskError(
                f"{name}: it is drawn from between a lowest and a highest value, "
                f"but {low} is above {high}; exchange the two"
            )


def require_sizes(**sizes: float) -> None:
    """No size is negative."""
    for name, size in sizes.items():
        if not size >= 0:
            raise TaskError(f"{name}={size}: it cannot be negative; give 0 or more")


def require_ways(ways: int, classes: int) -> None:
    """A task has no more classes than there are."""
    if ways > classes:
        raise TaskError(
            f"ways={ways}: each task has so many different classes, but there are only {classes} "
            f"to choose from; give ways={classes} or fewer, or more classes"
        )


def require_classes(classes: Sequence[ClassT], existing: Collection[Hashable]) -> Sequence[ClassT]:
    """At least one class is named, all that are named exist, and none is named twice."""
    if not classes:
        raise TaskError(
            "classes is empty: tasks are drawn from classes; name some, or give None for all"
        )
    unknown = [name for name in classes if name not in existing]
    if unknown:
        raise TaskError(
            f"classes: {named(unknown)} asked for, but there is no such class; "
            f"choose among {named([*existing])}"
        )
    if len(set(classes)) < len(classes):
        twice = [name for name, count in Counter(classes).items() if count > 1]
        raise TaskError(
            f"classes: {named(twice)} named more than once, but the classes of a task differ; "
            f"name each once"
        )
    return classes


def named(classes: Sequence[Hashable], most: int = 3) -> str:
    """A few classes by name, and how many more there are."""
    more = f" and {len(classes) - most} more" if len(classes) > most else ""
    return ", ".join(repr(name) for name in classes[:most]) + more

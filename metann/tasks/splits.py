"""Which classes are for meta-training, and which are kept to measure on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from metann.errors import TaskError
from metann.tasks.checks import ClassT, require_counts


def split_classes(
    classes: Sequence[ClassT], *sizes: int, seed: int = 0
) -> tuple[list[ClassT], ...]:
    """So many classes for each part, chosen at random; no class is in two parts.

    Args:
        classes: all there are, such as `FewShot.classes`, or `range(glyphs.classes)`.
        sizes: how many for each part. What is left over is in none.
        seed: which go where depends on it, and on the order of `classes`.

    Raises:
        TaskError: there are fewer classes than the parts need, or a part has none.

    Example:
        >>> meta_train, meta_test = split_classes("abcdefgh", 6, 2)
        >>> len(meta_train), len(meta_test), {*meta_train} & {*meta_test}
        (6, 2, set())
    """
    require_counts(**{f"sizes[{index}]": size for index, size in enumerate(sizes)})
    if sum(sizes) > len(classes):
        raise TaskError(
            f"{' + '.join(map(str, sizes))} = {sum(sizes)} classes asked for, but there are "
            f"{len(classes)}; give smaller sizes, or more classes"
        )
    rest = random.Random(seed).sample(classes, sum(sizes))
    ends = [sum(sizes[:part]) for part in range(len(sizes) + 1)]
    return tuple(rest[start:end] for start, end in pairwise(ends))

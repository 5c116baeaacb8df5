"""Lists that are longer than they are, and lists that take many indices at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Generic, TypeVar, cast, overload

from metann.utils import SubDict as SubDict

ItemT = TypeVar("ItemT")


class DefaultList(Generic[ItemT]):
    """A list without end, whose items are made when they are first asked for.

    Args:
        factory: makes an item; without it items are None.
        fill: what it begins with.

    Example:
        >>> states = DefaultList(lambda: 0)
        >>> states[3] = 5
        >>> states[2], states[3]
        (0, 5)

    Source: the class of this name in MetaNN 0.3, which does not use `fill`.
    """

    def __init__(
        self, factory: Callable[[], ItemT] | None = None, fill: Iterable[ItemT] | None = None
    ) -> None:
        self._factory = factory
        self._store: dict[int, ItemT] = {}
        self.fill(() if fill is None else fill)

    def fill(self, data: Iterable[ItemT]) -> None:
        """Set the first items."""
        self._store.update(enumerate(data))

    def __getitem__(self, item: int) -> ItemT:
        _require_index(item)
        if item not in self._store:
            made = None if self._factory is None else self._factory()
            self._store[item] = cast("ItemT", made)
        return self._store[item]

    def __setitem__(self, key: int, value: ItemT) -> None:
        _require_index(key)
        self._store[key] = value

    def __iter__(self) -> Iterator[ItemT]:
        return (self[index] for index in count())


class MultipleList(Generic[ItemT]):
    """A list that is read and written at many indices at once.

    Args:
        lst: the items; the list itself, if it is one, is written into.

    Example:
        >>> weights = MultipleList([10, 11, 12])
        >>> weights[[0, 2]] = [20, 22]
        >>> weights[[2, 1]]
        [22, 11]

    Source: the class of this name in MetaNN 0.3.
    """

    def __init__(self, lst: Iterable[ItemT]) -> None:
        self.lst: list[ItemT] = lst if isinstance(lst, list) else [*lst]

    @overload
    def __getitem__(self, item: int) -> ItemT: ...
    @overload
    def __getitem__(self, item: Iterable[int]) -> list[ItemT]: ...
    def __getitem__(self, item: int | Iterable[int]) -> ItemT | list[ItemT]:
        if isinstance(item, Iterable):
            return [self.lst[index] for index in item]
        return self.lst[item]

    @overload
    def __setitem__(self, key: int, value: ItemT) -> None: ...
    @overload
    def __setitem__(self, key: Iterable[int], value: Iterable[ItemT]) -> None: ...
    def __setitem__(self, key: int | Iterable[int], value: ItemT | Iterable[ItemT]) -> None:
        if not isinstance(key, Iterable):
            self.lst[key] = cast("ItemT", value)
            return
        indices, values = [*key], [*cast("Iterable[ItemT]", value)]
        _require_as_many(indices, values)
        for index, each in zip(indices, values, strict=True):
            self.lst[index] = each

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self.lst)

    def __len__(self) -> int:
        return len(self.lst)


def _require_index(index: object) -> None:
    if not isinstance(index, int) or index < 0:
        raise KeyError(f"the items have the indices 0, 1, 2, …, got {index!r}.")


def _require_as_many(indices: Sequence[int], values: Sequence[object]) -> None:
    if len(indices) != len(values):
        raise ValueError(
            f"there must be a value for each index, got {len(indices)} indices and {len(values)} "
            "values. Nothing was changed."
        )

"""Views of other containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SubDict(MutableMapping[K, V]):
    """A live view of some keys of another mapping.

    Reading, setting and deleting go straight through to `super_dict`. A key of the view that
    `super_dict` does not hold (any more) is not part of the view until it is set again.

    Args:
        super_dict: the mapping that holds the values.
        keys: which of its keys belong to the view; repeated ones count once.
        keep_order: iterate in the order of `super_dict` (True) or of `keys` (False).

    Example:
        >>> from collections import OrderedDict
        >>> super_dict = OrderedDict(a=1, b=2, c=3)
        >>> sub_dict = SubDict(super_dict, keys=["b", "a"])
        >>> sub_dict["a"] = 10
        >>> super_dict["a"], list(sub_dict)
        (10, ['a', 'b'])
    """

    def __init__(
        self, super_dict: MutableMapping[K, V], keys: Iterable[K] = (), keep_order: bool = True
    ) -> None:
        self.super_dict = super_dict
        self.keep_order = keep_order
        # A dict is an ordered set: membership in O(1), the order as given.
        self._keys: dict[K, None] = dict.fromkeys(keys)

    def update_keys(self, keys: Iterable[K] | None = None) -> None:
        """Replace the keys of the view; without an argument drop those `super_dict` lost.

        Example:
            >>> super_dict = {"a": 1, "b": 2}
            >>> sub_dict = SubDict(super_dict, keys=["a", "b"])
            >>> del super_dict["a"]
            >>> sub_dict.update_keys()
            >>> super_dict["a"] = 3
            >>> list(sub_dict)
            ['b']
        """
        if keys is None:
            keys = [key for key in self._keys if key in self.super_dict]
        self._keys = dict.fromkeys(keys)

    def __getitem__(self, key: K) -> V:
        if key not in self._keys:
            raise KeyError(key)
        return self.super_dict[key]

    def __setitem__(self, key: K, value: V) -> None:
        self.super_dict[key] = value
        self._keys[key] = None

    def __delitem__(self, key: K) -> None:
        if key not in self._keys:
            raise KeyError(key)
        del self.super_dict[key]
        del self._keys[key]

    def __iter__(self) -> Iterator[K]:
        if self.keep_order:
            return (key for key in self.super_dict if key in self._keys)
        return (key for key in self._keys if key in self.super_dict)

    def __len__(self) -> int:
        return sum(key in self.super_dict for key in self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys and key in self.super_dict

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"

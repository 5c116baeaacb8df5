"""Has a module tree changed its structure since it was last looked at?

The places of dependents are looked up once and used in every substitution, so asking must cost
little: each question runs over all modules at once inside the interpreter's C loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_, itemgetter
from typing import Any, cast

from torch import nn

from metann.slots import NO_SLOTS, SLOTS, slots_of

State = dict[str, Any]
_dependents = itemgetter(SLOTS)
_tables = itemgetter("_modules", "_parameters")
_entries = cast("Callable[[State], Iterable[object]]", vars(dict)["values"])


@dataclass(frozen=True)
class Snapshot:
    """The structure of a tree: its modules and their parameters and dependents.

    It keeps nothing of the root but what is in its tables, so that the root may keep it without a
    cycle.

    Attributes:
        states: the `__dict__` of every module but the root.
        sizes: how many attributes each module has, the root first.
        names: of all submodules and parameters,
        members: and these themselves. Buffers are left out: a call may replace them.
        owners: those of `states` that have, or had, dependents,
        slots: and these, those of the root first.
    """

    states: Sequence[State]
    sizes: Sequence[int]
    names: Sequence[str]
    members: Sequence[object]
    owners: Sequence[State]
    slots: Sequence[object]

    @classmethod
    def take(cls, modules: Sequence[nn.Module]) -> Snapshot:
        """Look at a tree, given as its modules in the order of `tree.walk`, the root first."""
        states = [module.__dict__ for module in modules]
        # Most layers have no submodules, and those that have, no parameters.
        tables = [*filter(None, chain.from_iterable(map(_tables, states)))]
        owners = [state for state in states[1:] if SLOTS in state]
        return cls(
            states=states[1:],
            sizes=[*map(len, states)],
            names=[*chain.from_iterable(tables)],
            members=[*chain.from_iterable(map(_entries, tables))],
            owners=owners,
            slots=[slots_of(modules[0]), *map(_dependents, owners)],
        )

    def holds(self, root: nn.Module) -> bool:
        """Whether the tree below `root` still has this structure."""
        state = root.__dict__
        states = [state, *self.states]
        tables = [*filter(None, chain.from_iterable(map(_tables, states)))]
        return (
            [*map(len, states)] == self.sizes
            and [*chain.from_iterable(tables)] == self.names
            and all(map(is_, chain.from_iterable(map(_entries, tables)), self.members))
            and state.get(SLOTS, NO_SLOTS) is self.slots[0]
            and (not self.owners or all(map(is_, map(_dependents, self.owners), self.slots[1:])))
        )

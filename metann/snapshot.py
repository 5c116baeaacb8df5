"""Has a module tree changed its structure since it was last looked at?

Plans for a tree are made once and used in every call, so asking must cost little: each question
runs over all modules at once inside the interpreter's C loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_, itemgetter
from typing import Any, cast

from torch import nn

from metann.slots import SLOTS, slots_of

State = dict[str, Any]
_submodules = itemgetter("_modules")
_dependents = itemgetter(SLOTS)
_tables = itemgetter("_modules", "_parameters", "_buffers")
_entries = cast("Callable[[State], Iterable[object]]", vars(dict)["values"])


@dataclass(frozen=True)
class Snapshot:
    """The structure of a tree: its modules, and the weights and buffers they have.

    It keeps nothing of the root but its tables, so that the root may keep it without a cycle.

    Attributes:
        states: the `__dict__` of every module but the root.
        tables: `_modules`, `_parameters` and `_buffers` of every module.
        names: of all submodules, parameters and buffers.
        root_size: how many attributes the root has.
        sized: where something may be added unseen: `states`, and the `_buffers`,
        sizes: and how many entries each has.
        listed: the tables whose entries are compared one by one: `_modules` and `_parameters`,
        members: and all these entries.
        parents: those of `states` that have submodules; torch may give them a new `_modules`,
        children: the `_modules` they have.
        owners: those of `states` that have dependents,
        slots: and these.
    """

    states: Sequence[State]
    tables: Sequence[State]
    names: Sequence[str]
    root_size: int
    sized: Sequence[State]
    sizes: Sequence[int]
    listed: Sequence[State]
    members: Sequence[object]
    parents: Sequence[State]
    children: Sequence[State]
    owners: Sequence[State]
    slots: Sequence[object]

    @classmethod
    def take(cls, modules: Sequence[nn.Module]) -> Snapshot:
        """Look at a tree, given as its modules in the order of `tree.walk`, the root first."""
        root, states = modules[0].__dict__, [module.__dict__ for module in modules[1:]]
        tables = [*chain.from_iterable(map(_tables, [root, *states]))]
        sized = [*states, *tables[2::3]]
        listed = [*tables[0::3], *tables[1::3]]
        parents = [state for state in states if state["_modules"]]
        owners = [module.__dict__ for module in modules[1:] if slots_of(module)]
        return cls(
            states=states,
            tables=tables,
            names=[*chain.from_iterable(tables)],
            root_size=len(root),
            sized=sized,
            sizes=[*map(len, sized)],
            listed=listed,
            members=[*chain.from_iterable(map(_entries, listed))],
            parents=parents,
            children=[*map(_submodules, parents)],
            owners=owners,
            slots=[slots_of(modules[0]), *map(_dependents, owners)],
        )

    def holds(self, root: nn.Module) -> bool:
        """Whether the tree below `root` still has this structure.

        It passes over what cannot lead to wrong weights: a new name for the same submodule, or a
        table exchanged for one with the same entries. `holds_exactly` does not.
        """
        state = root.__dict__
        members: list[object] = [*chain.from_iterable(map(_entries, self.listed))]
        return (
            len(state) == self.root_size
            and state["_modules"] is self.tables[0]
            and len(members) == len(self.members)
            and all(map(is_, members, self.members))
            and [*map(len, self.sized)] == self.sizes
            and all(map(is_, map(_submodules, self.parents), self.children))
            and slots_of(root) is self.slots[0]
            and (not self.owners or all(map(is_, map(_dependents, self.owners), self.slots[1:])))
        )

    def holds_exactly(self, root: nn.Module) -> bool:
        """Whether the tree below `root` has this structure, name by name and table by table."""
        tables = chain.from_iterable(map(_tables, [root.__dict__, *self.states]))
        return (
            self.holds(root)
            and all(map(is_, tables, self.tables))
            and [*chain.from_iterable(self.tables)] == self.names
        )

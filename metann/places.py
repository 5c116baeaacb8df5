"""Where the dependents of a tree are kept, remembered from one substitution to the next."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from metann.layout import Layout
from metann.references import carried_names, tensors_in
from metann.slots import numbered, slots_of
from metann.snapshot import Snapshot
from metann.tree import join, walk

logger: logging.Logger = logging.getLogger(__name__)

REMEMBERED = "_dependent_places"
Buffers = dict[str, Any]


@dataclass(frozen=True)
class Places:
    """Every place of every dependent of a tree.

    Attributes:
        layout: the dependents, in the order of `named_dependents()`.
        tables: for each place, the `_buffers` it is in,
        names: its name there,
        order: and which dependent it belongs to.
    """

    layout: Layout
    tables: tuple[Buffers, ...]
    names: tuple[str, ...]
    order: tuple[int, ...]
    snapshot: Snapshot

    def write(self, tensors: list[Tensor]) -> None:
        """Put one tensor a dependent into all its places."""
        located = tensors
        if len(self.order) != len(tensors):
            located = [tensors[index] for index in self.order]
        for table, name, tensor in zip(self.tables, self.names, located, strict=True):
            table[name] = tensor

    def read(self) -> list[Tensor | None]:
        """What the dependents are now."""
        found = dict(zip(self.order, zip(self.tables, self.names, strict=True), strict=True))
        return [found[index][0][found[index][1]] for index in range(len(found))]

    def write_some(self, tensors: Mapping[int, Tensor]) -> None:
        """Put some dependents into all their places."""
        for table, name, index in zip(self.tables, self.names, self.order, strict=True):
            if index in tensors:
                table[name] = tensors[index]

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Be None in a copy or a pickle: a copied tree has other places."""
        return type(None), ()

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None


def places_of(module: nn.Module) -> Places:
    """The places of the dependents of a tree, looked up anew if the tree has changed."""
    places = cast("Places | None", module.__dict__.get(REMEMBERED))
    if places is None or not places.snapshot.holds(module):
        module.__dict__[REMEMBERED] = None  # The snapshot counts the entries of `__dict__`.
        places = module.__dict__[REMEMBERED] = find_places(module)
    return places


def _report_held(modules: list[tuple[str, nn.Module]]) -> None:
    """Warn of weights that a module keeps in an attribute, where substitution does not reach."""
    weights = {
        id(owner.__dict__["_buffers"][name]) for _, owner in modules for name in slots_of(owner)
    }
    for path, owner in modules:
        for name in carried_names(owner.__dict__):
            # torch itself renews the list that its recurrent layers keep.
            is_renewed = name == "_flat_weights"
            held = tensors_in(None if is_renewed else owner.__dict__[name])
            if any(isinstance(t, nn.Parameter) or id(t) in weights for t in held):
                logger.warning(
                    "%s keeps a weight in an attribute; substitution does not reach it there, "
                    "and it goes on meaning the original. Read the weight by its own name instead.",
                    join(path, name),
                )


def find_places(module: nn.Module) -> Places:
    """Look up every place of every dependent that is in use."""
    modules = walk(module)
    _report_held(modules)
    found = [
        (join(path, name), name, slot, owner)
        for path, owner in modules
        for name, slot in slots_of(owner).items()
        if slot.shape is not None
    ]
    index = numbered(slot for _, _, slot, _ in found)
    return Places(
        layout=Layout.of({path: slot for path, _, slot, _ in found}),
        tables=tuple(owner.__dict__["_buffers"] for *_, owner in found),
        names=tuple(name for _, name, _, _ in found),
        order=tuple(index[slot] for _, _, slot, _ in found),
        snapshot=Snapshot.take([owner for _, owner in modules]),
    )

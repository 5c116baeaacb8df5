"""Which classes of a file are modules, and what their bases become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import libcst as cst

from metann.codegen.layers import LayerPlanner
from metann.codegen.library import MODULE
from metann.codegen.rewriting.names import Names
from metann.codegen.source import SourceClass

# What TorchScript compiles cannot be made dependent.
_SCRIPTED = "torch.jit."


@dataclass(frozen=True)
class Base:
    """One base of a class of the file.

    `replaced_by` is the torch class whose counterpart takes its place. `needs` are the classes
    whose counterparts it derives from only if the first of them stands beside it; `provides`
    those whose counterparts it derives from by itself.
    """

    node: cst.BaseExpression
    is_layer: bool = False
    is_dependent: bool = False
    replaced_by: str | None = None
    needs: tuple[str, ...] = ()
    provides: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Layer:
    """A class of the file that derives from torch.nn.Module, and what becomes of its bases."""

    node: cst.ClassDef
    bases: tuple[Base, ...]
    added: tuple[str, ...]

    @property
    def last(self) -> int:
        """The position of the last base that is a module; what is added stands behind it."""
        return max(number for number, base in enumerate(self.bases) if base.is_layer)


@dataclass
class Classes:
    """The classes of a file, looked at when asked for."""

    names: Names
    planner: LayerPlanner
    _known: dict[cst.ClassDef, tuple[Base, ...]] = field(
        default_factory=dict[cst.ClassDef, tuple[Base, ...]]
    )

    def layers(self) -> Iterator[Layer]:
        """The classes that are to be made dependent, wherever in the file they are defined."""
        for node in self.definitions():
            bases = self.bases(node)
            if any(base.is_layer for base in bases) and not self.is_dependent(node):
                yield Layer(node, bases, _added(bases))

    def definitions(self) -> Iterator[cst.ClassDef]:
        """All classes of the file, in its order."""
        for name in self.names.variables:
            above = self.names.parent(name)
            if isinstance(above, cst.ClassDef) and above.name is name:
                yield above

    def bases(self, node: cst.ClassDef) -> tuple[Base, ...]:
        """What the bases of a class are."""
        if node not in self._known:
            self._known[node] = ()  # A class cannot be its own base.
            self._known[node] = tuple(self._base(item.value, ()) for item in node.bases)
        return self._known[node]

    def is_dependent(self, node: cst.ClassDef) -> bool:
        """Whether the class derives from DependentModule as it is."""
        return any(base.is_dependent for base in self.bases(node))

    def _base(self, node: cst.BaseExpression, seen: tuple[cst.BaseExpression, ...]) -> Base:
        core = node.value if isinstance(node, cst.Subscript) else node
        own = self.names.definitions(core)
        if own:
            return self._own(core, own)
        qualified = self.names.qualified(core)
        if qualified is not None:
            return self._outer(core, qualified)
        value = self.names.assigned_to(core)
        if value is None or value in seen:
            return Base(core)
        behind = self._base(value, (*seen, value))
        # An alias of torch.nn.Module still is torch.nn.Module in annotations; a base is none.
        return replace(behind, node=core)

    def _own(self, node: cst.BaseExpression, definitions: tuple[cst.ClassDef, ...]) -> Base:
        """A class of the file: it is rewritten itself."""
        bases = [base for item in definitions for base in self.bases(item)]
        provides = {name for base in bases for name in (*base.provides, *base.needs)}
        return Base(
            node,
            is_layer=any(base.is_layer for base in bases),
            is_dependent=any(self.is_dependent(item) for item in definitions),
            provides=frozenset(provides),
        )

    def _outer(self, node: cst.BaseExpression, qualified: str) -> Base:
        """A class of another file."""
        if qualified == "metann" or qualified.startswith("metann."):
            return Base(node, is_dependent=_is_dependents_name(qualified))
        is_scripted = qualified.startswith(_SCRIPTED)
        found = None if is_scripted else self.planner.library.find(qualified)
        if found is None or not self.planner.library.is_layer(found):
            return Base(node)
        line = self.planner.library.mro(found)
        if any(item.module.startswith("metann.") for item in line):
            return Base(node, is_layer=True, is_dependent=True)
        counterparts = tuple(item.qualified_name for item in line if self._has_counterpart(item))
        is_torchs = counterparts[0] == found.qualified_name
        return Base(
            node,
            is_layer=True,
            replaced_by=counterparts[0] if is_torchs else None,
            needs=() if is_torchs else counterparts,
            provides=frozenset(counterparts) if is_torchs else frozenset(),
        )

    def _has_counterpart(self, source: SourceClass) -> bool:
        return source.qualified_name == MODULE or source.qualified_name in self.planner.written


def _is_dependents_name(qualified: str) -> bool:
    return qualified.rpartition(".")[2].startswith("Dependent")


def _added(bases: tuple[Base, ...]) -> tuple[str, ...]:
    """The counterparts that bases from other files need, and that no base after them provides."""
    replaced = {base.replaced_by for base in bases}
    needed: dict[str, tuple[str, ...]] = {}
    for number, base in enumerate(bases):
        after = {name for other in bases[number + 1 :] for name in other.provides}
        if base.needs and base.needs[0] not in {*after, *replaced}:
            needed[base.needs[0]] = base.needs
    # A counterpart brings those it derives from, which may not stand before it.
    brought = {name for line in needed.values() for name in line[1:]}
    return tuple(name for name in needed if name not in brought)

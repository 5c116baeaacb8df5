"""Which metaclass makes a counterpart print as the user's class, where libraries look it up."""

from __future__ import annotations

from collections.abc import Sequence

from metann.codegen.library import Library
from metann.codegen.model import ImportPlan
from metann.codegen.source import SourceClass
from metann.codegen.user_model import MetaclassPlan
from metann.codegen.users.bases import Counterparts, metaclass_of, shown_by, unknown_bases
from metann.codegen.users.spelling import Place, UserSpeller


class Metaclasses:
    """The metaclasses that the written file names, and those that it has to define.

    A metaclass of the user's is joined with `ShownAsOriginal`; a class can have one only.
    """

    def __init__(self, counterparts: Counterparts, speller: UserSpeller) -> None:
        self._counterparts, self._speller = counterparts, speller
        self._joined: dict[str, MetaclassPlan] = {}

    @property
    def defined(self) -> tuple[MetaclassPlan, ...]:
        """What the file defines, in the order of use."""
        return tuple(self._joined.values())

    def needed(self, source: SourceClass, above: Sequence[SourceClass | None]) -> str:
        """What a counterpart has to name as its metaclass; "" if a base brings it.

        Example: `class Net(nn.Module)` -> "ShownAsOriginal"
        """
        library = self._counterparts.library
        if any(unknown_bases(source, library)):
            return ""  # Python refuses a metaclass that does not fit that of a base.
        own = self._spelled(source, library)
        inherited = [item for item in above if item is not None]
        ours = [item for item in inherited if item.qualified_name in self._counterparts.own]
        if any(self._spelled(item, library) == own for item in ours):
            return ""
        return shown_by(self._counterparts.names) if own is None else self._join(own)

    def _spelled(self, source: SourceClass, library: Library) -> str | None:
        """The metaclass of a class as the written file spells it; None if it is `type`."""
        found = metaclass_of(source, library)
        if found is None:
            return None
        dotted, file = found
        if dotted == "abc.ABCMeta":
            return self._counterparts.names.use(ImportPlan("abc", "ABCMeta"), at_run_time=True)
        return self._speller.name(dotted, Place(file), True)

    def _join(self, metaclass: str) -> str:
        shown_by(self._counterparts.names)
        name = f"ShownAsOriginalBy{metaclass.rpartition('.')[2]}"
        self._joined[metaclass] = MetaclassPlan(name, metaclass)
        return name

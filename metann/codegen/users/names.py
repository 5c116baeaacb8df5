"""The names of the written file: what it imports, and under which name, so that none clash."""

from __future__ import annotations

import builtins
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace

from metann.codegen.imports import import_lines
from metann.codegen.model import ImportLine, ImportPlan

# What the template writes, whatever the user's file has under these names.
_OURS = (
    ImportPlan("metann"),
    ImportPlan("metann.fields", "dependent"),
    ImportPlan("metann.fields", "submodule"),
    ImportPlan("metann.identity", "ShownAsOriginal"),
    ImportPlan("metann.module", "DependentModule"),
    ImportPlan("torch", "Tensor"),
    ImportPlan("torch", "nn"),
    ImportPlan("typing", "Any"),
    ImportPlan("typing", "TYPE_CHECKING"),
    ImportPlan("typing", "cast"),
    ImportPlan("typing", "overload"),
    ImportPlan("warnings"),
)
_DOOR = "to_dependent"


class Names:
    """Gives each thing that the written file names a name of its own.

    `declared` are the attributes that the classes declare: in the body of a class such a name
    is the attribute, so what is imported has another one.

    Example: `Tensor` is torch's; a class `Tensor` of the user's is imported as `Tensor_`
    """

    def __init__(self, defined: Iterable[str], declared: Iterable[str] = ()) -> None:
        self._declared = frozenset(declared)
        ours = {_key(item): _wanted(item) for item in _OURS}
        self._local = {key: name for key, name in ours.items() if name not in self._declared}
        self._taken = {*ours.values(), *defined, *self._declared, *dir(builtins), _DOOR}
        self._imports: dict[ImportPlan, bool] = {}
        self._guarded: set[tuple[str, str]] = set()

    def use(self, item: ImportPlan, *, at_run_time: bool = False) -> str:
        """Import something, and return the name it has in the written file."""
        wanted = _wanted(item)
        if wanted == item.name and item.module == "builtins" and wanted not in self._declared:
            return wanted
        key = _key(item)
        if key not in self._local:
            while wanted in self._taken:
                wanted += "_"
            self._taken.add(wanted)
            self._local[key] = wanted
        local = self._local[key]
        if key not in self._guarded:
            self._import(_named(item, local), at_run_time)
        return local

    def use_outside(self, item: ImportPlan, *, at_run_time: bool = False) -> None:
        """Import something of ours as the templates call it, who use it outside of classes."""
        if _wanted(item) not in self._declared:
            self._local.setdefault(_key(item), _wanted(item))
            self._taken.add(_wanted(item))
        self._import(item, at_run_time)

    def _import(self, item: ImportPlan, at_run_time: bool) -> None:
        self._imports[item] = self._imports.get(item, False) or at_run_time

    def guard(self, item: ImportPlan) -> ImportPlan:
        """Give something a name; the template imports it where it knows that it is there."""
        self._guarded.add(_key(item))
        local = self.use(item)
        return replace(item, alias="" if local == item.name else local)

    @contextmanager
    def all_or_nothing(self) -> Generator[None, None, None]:
        """Import nothing of what was asked for if it turns out that something is unknown."""
        before = dict(self._local), set(self._taken), dict(self._imports)
        try:
            yield
        except BaseException:
            self._local, self._taken, self._imports = before
            raise

    @property
    def has_types(self) -> bool:
        """Whether something is imported for type checkers only."""
        return not all(self._imports.values())

    def lines(self, own: str) -> tuple[tuple[ImportLine, ...], tuple[ImportLine, ...]]:
        """What is imported at run time, and what only for type checkers."""
        at_run_time = [item for item, needed in self._imports.items() if needed]
        for_types = [item for item, needed in self._imports.items() if not needed]
        return import_lines(at_run_time, own=own), import_lines(for_types, own=own)


def _key(item: ImportPlan) -> tuple[str, str]:
    """What a name stands for; `import a.b` is known as `a`."""
    return (item.module, item.name) if item.name or item.alias else (_wanted(item), "")


def _named(item: ImportPlan, local: str) -> ImportPlan:
    """What imports something under a name. Example: `import a.b`, as a_ -> `import a as a_`."""
    if local == _wanted(replace(item, alias="")):
        return replace(item, alias="")
    if not item.name and not item.alias:
        return ImportPlan(item.module.partition(".")[0], "", local)
    return replace(item, alias=local)


def _wanted(item: ImportPlan) -> str:
    return item.alias or item.name or item.module.partition(".")[0]

"""What the counterpart of a user's class derives from, and which metaclass that takes."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import libcst as cst

from metann.codegen.layers import LayerPlanner
from metann.codegen.library import MODULE, Library
from metann.codegen.model import ImportPlan
from metann.codegen.source import SourceClass
from metann.codegen.syntax import text_of
from metann.codegen.users.generics import base_arguments
from metann.codegen.users.names import Names
from metann.codegen.users.outline import Definition, UserFile
from metann.codegen.users.spelling import Place, UserSpeller

DEPENDENT_MODULE = "metann.module.DependentModule"
_MODULE = ImportPlan("metann.module", "DependentModule")
_SHOWN = ImportPlan("metann.identity", "ShownAsOriginal")
# The classes of Python's own library that have abc.ABCMeta as their metaclass, by their beginning.
_ABSTRACT = (
    *("abc.ABC", "typing.Protocol", "typing_extensions.Protocol", "collections.abc.", "numbers."),
    *("collections.UserDict", "collections.UserList", "collections.UserString"),
    *("contextlib.Abstract", "io.", "typing.Mapping", "typing.MutableMapping", "typing.Sequence"),
)


@dataclass(frozen=True)
class Counterparts:
    """Which classes have a counterpart that the written file may name, and how.

    `own` are the classes whose counterparts stand in the written file itself, by qualified name.
    """

    planner: LayerPlanner
    names: Names
    own: dict[str, str]

    @property
    def library(self) -> Library:
        """All files that can be read."""
        return self.planner.library

    def nearest(self, source: SourceClass) -> SourceClass | None:
        """The class itself or its nearest base that has a counterpart to be named.

        None where a counterpart written on demand derives from `DependentModule` alone.
        """
        for item in self.library.mro(source):
            if item.qualified_name in self.own or item.qualified_name in self.planner.written:
                return item
            if "__init_subclass__" in item.methods:
                return None
        return None

    def name(self, source: SourceClass, *, at_run_time: bool = False) -> str:
        """The counterpart of a class that has one. Example: "DependentConv2d"."""
        if source.qualified_name in self.own:
            return self.own[source.qualified_name]
        item = self.planner.counterpart_import(source)
        return self.names.use(item, at_run_time=at_run_time)

    def module(self, *, at_run_time: bool = False) -> str:
        """`DependentModule`, imported."""
        return self.names.use(_MODULE, at_run_time=at_run_time)


@dataclass(frozen=True)
class Base:
    """A base of a user's class: where its name leads, and what it is given in brackets."""

    node: cst.BaseExpression
    source: SourceClass | None


def bases_of(definition: Definition, file: UserFile, library: Library) -> Iterator[Base]:
    """The bases of one definition, in their order; those that no file defines are None."""
    for argument in definition.node.bases:
        node = argument.value
        dotted = text_of(node.value if isinstance(node, cst.Subscript) else node)
        is_above = dotted == definition.source.name and dotted in file.imports
        found = None
        if dotted is not None:
            found = library.find(file.imports[dotted] if is_above else file.qualified(dotted))
        yield Base(node, found)


def acts_on_subclasses(source: SourceClass, library: Library) -> bool:
    """Whether a class of the user's, or of a library, does something with each subclass."""
    for item in library.mro(source):
        if item.qualified_name == MODULE:
            return False
        if "__init_subclass__" in item.methods:
            return True
    return False


@dataclass(frozen=True)
class Above:
    """A class whose counterpart a counterpart derives from, and where the user names it as base."""

    source: SourceClass
    base: Base


def classes_above(
    definition: Definition, file: UserFile, counterparts: Counterparts
) -> tuple[Above, ...]:
    """The classes with counterparts that the bases of a class are, or derive from.

    Example: `class Deep(Net)` -> Net; `class Net(nn.Module)` -> none
    """
    found: dict[str, Above] = {}
    if acts_on_subclasses(definition.source, counterparts.library):
        return ()
    for base in bases_of(definition, file, counterparts.library):
        if base.source is None or not counterparts.library.is_layer(base.source):
            continue
        above = counterparts.nearest(base.source)
        if above is not None:
            found.setdefault(above.qualified_name, Above(above, base))
    return tuple(found.values())


def spelled_bases(
    definition: Definition, above: Sequence[Above], counterparts: Counterparts, speller: UserSpeller
) -> tuple[str, ...]:
    """The counterparts of these classes; `DependentModule` if there are none.

    Example: Net, in `class Deep(Net[int])` -> "DependentNet[int]"
    """
    names: list[str] = []
    for item in above:
        name = counterparts.name(item.source, at_run_time=True)
        is_same = item.base.source is not None and (
            item.source.qualified_name == item.base.source.qualified_name
        )
        if is_same and item.source.qualified_name in counterparts.own:
            file = counterparts.library.files[definition.source.module]
            assert isinstance(file, UserFile)
            place = Place(file, definition.source, _parameters(definition))
            name += base_arguments(item.base.node, place, speller)
        names.append(name)
    return tuple(names) or (counterparts.module(at_run_time=True),)


def _parameters(definition: Definition) -> frozenset[str]:
    parameters = definition.node.type_parameters
    if parameters is None:
        return frozenset()
    return frozenset(item.param.name.value for item in parameters.params)


def metaclass_of(source: SourceClass, library: Library) -> tuple[str, UserFile] | None:
    """The metaclass that a class or a base of it names, and the file where the name is found.

    Example: `class Net(nn.Module, ABC)` -> "abc.ABCMeta"; `class Net(nn.Module)` -> None
    """
    for item in library.mro(source):
        file = library.files.get(item.module)
        if not isinstance(file, UserFile):
            continue
        for definition in file.definitions[item.name]:
            for keyword in definition.node.keywords:
                if keyword.keyword is not None and keyword.keyword.value == "metaclass":
                    dotted = text_of(keyword.value)
                    return (dotted, file) if dotted and dotted != "type" else None
        if any(file.qualified(base).startswith(_ABSTRACT) for base in item.bases):
            return "abc.ABCMeta", file
    return None


def unknown_bases(source: SourceClass, library: Library) -> Iterator[str]:
    """The bases, at any height, that neither a file nor Python's own library defines."""
    for item in library.mro(source):
        home = library.files.get(item.module)
        for base in item.bases if isinstance(home, UserFile) else ():
            qualified = home.qualified(base) if home is not None else base
            first = qualified.partition(".")[0]
            is_pythons = first in sys.stdlib_module_names or first == "typing_extensions"
            is_known = is_pythons or first == "torch" or hasattr(builtins, base)
            if not is_known and (library.find(qualified) is None):
                yield base


def shown_by(names: Names) -> str:
    """The metaclass of counterparts, imported."""
    names.use_outside(_SHOWN, at_run_time=True)
    return _SHOWN.name


def is_dependent(source: SourceClass, library: Library, also: Set[str] = frozenset()) -> bool:
    """Whether a class is a dependent module already."""
    names = {item.qualified_name for item in library.mro(source)}
    return DEPENDENT_MODULE in names or bool(names & also)

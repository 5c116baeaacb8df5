"""Plans the counterpart of one class of a user's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from metann.codegen.library import MODULE
from metann.codegen.model import ImportPlan, Note
from metann.codegen.source import SourceClass
from metann.codegen.syntax import text_of
from metann.codegen.user_model import DeclaredPlan, UserClassPlan
from metann.codegen.users.attributes import Attribute, attributes_of
from metann.codegen.users.bases import (
    DEPENDENT_MODULE,
    Counterparts,
    acts_on_subclasses,
    counterpart_bases,
)
from metann.codegen.users.fields import FieldPlanner, documented
from metann.codegen.users.generics import generic_of
from metann.codegen.users.kinds import Resolver
from metann.codegen.users.members import read_members
from metann.codegen.users.metaclasses import Metaclasses
from metann.codegen.users.outline import Definition, UserFile
from metann.codegen.users.signatures import SignaturePlanner
from metann.codegen.users.spelling import UserSpeller

_CLASH = (
    "  # type: ignore[misc, unused-ignore]"
    "  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]"
)
_OVERRIDE = (
    "  # type: ignore[override, unused-ignore]"
    "  # pyright: ignore[reportIncompatibleMethodOverride]"
)
# These are not compared between classes, or are the counterpart's own.
_NOT_COMPARED = frozenset({"__init__", "__new__", "__init_subclass__"})


@dataclass(frozen=True)
class PlannedClass:
    """A class to write, and what the user should know of it."""

    layer: UserClassPlan
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class ClassPlanner:
    """Plans counterparts of the classes of one file."""

    file: UserFile
    counterparts: Counterparts
    speller: UserSpeller
    metaclasses: Metaclasses

    def plan(self, definition: Definition) -> PlannedClass:
        """Plan the counterpart of one class.

        Example: `class Net(nn.Module)` -> `class DependentNet(Net, DependentModule)`
        """
        source = definition.source
        library, names = self.counterparts.library, self.counterparts.names
        generic = generic_of(definition, self.file, self.speller)
        spelled = self.speller.own_class(source, at_run_time=True)
        above = counterpart_bases(definition, self.file, self.counterparts, self.speller)
        resolver = Resolver(library)
        attributes = attributes_of(source, resolver)
        inherited = self._inherited(above, resolver)
        signatures = SignaturePlanner(self.speller, self.file).plan(definition, generic.local)
        name = self.counterparts.own[source.qualified_name]
        own_bases: tuple[str, ...] = (spelled + generic.arguments, *(base for base, _ in above))
        if acts_on_subclasses(source, library):
            module = self.counterparts.module(at_run_time=True)
            own_bases = (module, spelled + generic.arguments, f"written_for={spelled}")
            inherited = {}
        sources = [item for _, item in above]
        metaclass = self.metaclasses.needed(source, sources)
        keywords = (f"metaclass={metaclass}",) if metaclass else ()
        if source.is_deprecated:
            names.use(ImportPlan("warnings"), at_run_time=True)
        fields = FieldPlanner(self.counterparts).fields(attributes.found, inherited)
        layer = UserClassPlan(
            name=name,
            original=source.qualified_name,
            spelled=spelled,
            bases=(*own_bases, *keywords),
            head=name + generic.parameters,
            type_parameters=generic.arguments,
            comment=_CLASH if self._clashes(definition, sources, inherited) else "",
            dependents=documented(attributes.found, inherited),
            fields=fields,
            declared=tuple(self._declared(signatures.declared, above)),
            is_deprecated=source.is_deprecated,
        )
        return PlannedClass(layer, (*attributes.notes, *signatures.notes))

    def _inherited(
        self, above: list[tuple[str, SourceClass | None]], resolver: Resolver
    ) -> Mapping[str, Attribute]:
        """What the counterparts above declare, if they stand in the written file."""
        found: dict[str, Attribute] = {}
        for _, source in reversed(above):
            if source is not None and source.qualified_name in self.counterparts.own:
                found |= attributes_of(source, resolver).found
        return found

    def _declared(
        self, declared: tuple[DeclaredPlan, ...], above: list[tuple[str, SourceClass | None]]
    ) -> Iterator[DeclaredPlan]:
        """The signatures, with what type checkers are told where a base has another one."""
        has_base = any(self._defines(source, "forward") for _, source in above if source)
        for item in declared:
            is_other = has_base and item.head.partition("[")[0] == "__call__"
            yield replace(item, comment=_OVERRIDE) if is_other else item

    def _defines(self, source: SourceClass, method: str) -> bool:
        for item in self.counterparts.library.mro(source):
            if item.qualified_name == MODULE:
                return False
            if method in item.methods:
                return True
        return False

    def _clashes(
        self,
        definition: Definition,
        above: Sequence[SourceClass | None],
        inherited: Mapping[str, Attribute],
    ) -> bool:
        """Whether the class has names that its counterpart's other bases declare, too."""
        if any(_is_final(text_of(item.decorator)) for item in definition.node.decorators):
            return True
        library = self.counterparts.library
        sources = [item for item in above if item is not None]
        below = {item.qualified_name for source in sources for item in library.mro(source)}
        own = self._own_names(definition.source, below)
        theirs = {*inherited, "__call__"} if inherited or any(above) else set[str]()
        for item in (*sources, library.find(DEPENDENT_MODULE)):
            if item is not None and item.qualified_name not in self.counterparts.own:
                theirs |= self._torchs_names(item)
        return bool((own & theirs) - _NOT_COMPARED)

    def _own_names(self, source: SourceClass, below: Set[str]) -> Set[str]:
        """The names that the class has, and those of its bases that stand above nothing else."""
        found: set[str] = set()
        for item in self.counterparts.library.mro(source):
            file = self.counterparts.library.files.get(item.module)
            if item.qualified_name in below or not isinstance(file, UserFile):
                continue
            for definition in file.definitions[item.name]:
                members = read_members(definition.node)
                found |= {*members.held, *members.given, *members.annotations}
        return found

    def _torchs_names(self, source: SourceClass) -> Set[str]:
        """What a layer of torch, or `DependentModule`, and its bases define."""
        found: set[str] = set()
        for item in self.counterparts.library.mro(source):
            if item.qualified_name == MODULE:
                break
            found |= {*item.methods, *item.annotations, *item.submodules}
            found |= {registration.name for registration in item.registrations}
        return found


def _is_final(decorator: str | None) -> bool:
    return decorator is not None and decorator.rpartition(".")[2] == "final"

"""Plans the counterpart of one class of a user's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from metann.codegen.library import MODULE
from metann.codegen.model import ImportPlan, Note
from metann.codegen.source import SourceClass
from metann.codegen.user_model import DeclaredPlan, GuardPlan, UserClassPlan
from metann.codegen.users.attributes import Attribute, Attributes, attributes_of
from metann.codegen.users.bases import (
    Above,
    Counterparts,
    acts_on_subclasses,
    classes_above,
    spelled_bases,
    unknown_bases,
)
from metann.codegen.users.fields import FieldPlanner, documented
from metann.codegen.users.generics import generic_of
from metann.codegen.users.kinds import Resolver
from metann.codegen.users.metaclasses import Metaclasses
from metann.codegen.users.outline import FOR_TYPES, Definition, UserFile
from metann.codegen.users.overlaps import has_overlaps, is_final, torchs_names
from metann.codegen.users.signatures import SignaturePlanner
from metann.codegen.users.spelling import UserSpeller

_OVERLAPS = (
    "  # type: ignore[misc, unused-ignore]"
    "  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]"
)
_OVERRIDE = (
    "  # type: ignore[override, unused-ignore]"
    "  # pyright: ignore[reportIncompatibleMethodOverride]"
)
# What a name that may be another package's is to type checkers.
_FOREIGN = (
    "  # type: ignore[attr-defined, unused-ignore]"
    "  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]"
)
_FINAL = "  # pyright: ignore[reportGeneralTypeIssues]"
_FOREIGN_BASE = "  # type: ignore[misc, unused-ignore]  # pyright: ignore[reportUntypedBaseClass]"
_FOREIGN_ARGUMENT = "  # pyright: ignore[reportUnknownArgumentType]"
_FOR_SUBSTITUTE = (
    *(ImportPlan("collections.abc", "Mapping"), ImportPlan("collections.abc", "Iterable")),
    *(ImportPlan("torch", "Tensor"), ImportPlan("builtins", "str")),
    *(ImportPlan("builtins", "bool"), ImportPlan("builtins", "tuple")),
)
_NOT_ALWAYS = "the name stands for something else in other runs, so nothing of it has a type"
_UNSHOWN = (
    "no file was found that defines its base {}: what that has is not known, and libraries that "
    "look the class up by its name do not find its counterpart"
)
# What the templates write in the body of a class.
_NEEDED_IN_CLASSES = frozenset({"TYPE_CHECKING", "overload"})
_NEEDED = "the written file needs this name for itself, so the attribute has no type"
_DIFFER = "it has several definitions; what is not the same in all of them has no type"


@dataclass(frozen=True)
class PlannedClass:
    """A class to write, what the user should know of it, and whether it is known at all."""

    layer: UserClassPlan
    notes: tuple[Note, ...] = ()
    is_known: bool = True


@dataclass(frozen=True)
class _Agreed:
    """What all definitions of a class have in common."""

    definitions: Sequence[Definition]
    above: tuple[Above, ...]
    attributes: Attributes

    @property
    def first(self) -> Definition:
        return self.definitions[0]

    @property
    def sources(self) -> list[SourceClass]:
        return [item.source for item in self.above]


@dataclass(frozen=True)
class ClassPlanner:
    """Plans counterparts of the classes of one file."""

    file: UserFile
    counterparts: Counterparts
    speller: UserSpeller
    metaclasses: Metaclasses

    def plan(self, source: SourceClass) -> PlannedClass:
        """Plan the counterpart of one class.

        Example: `class Net(nn.Module)` -> `class DependentNet(Net, DependentModule)`
        """
        guard = self._guard(source)
        if source.name in self.file.branches:
            return PlannedClass(
                self._of_unknown(source, guard), (Note(source.name, _NOT_ALWAYS),), False
            )
        agreed = self._agreed(source)
        generic = generic_of(agreed.first, self.file, self.speller)
        inherited = self._inherited(agreed)
        planner = SignaturePlanner(self.speller, self.file)
        signatures = planner.plan(agreed.definitions, generic.local)
        name = self.counterparts.own[source.qualified_name]
        found = agreed.attributes.found
        if source.is_deprecated:
            self.speller.names.use_outside(ImportPlan("warnings"), at_run_time=True)
        torchs = torchs_names(agreed.sources, self.counterparts)
        overlaps = has_overlaps(agreed.first, agreed.sources, inherited, self.counterparts)
        layer = UserClassPlan(
            name=name,
            original=source.qualified_name,
            spelled=self.speller.own_class(source, at_run_time=True),
            bases=tuple(self._bases(agreed, generic.arguments)),
            head=name + generic.parameters,
            type_parameters=generic.arguments,
            comment=_OVERLAPS if overlaps or is_final(agreed.first) else "",
            bases_comment=_FINAL if is_final(agreed.first) else "",
            dependents=documented(found, inherited),
            fields=FieldPlanner(self.counterparts, self.speller).fields(found, inherited, torchs),
            declared=(
                *self._declared(signatures.declared, agreed.sources),
                *(self._substitute(agreed.sources) if found else ()),
            ),
            is_deprecated=source.is_deprecated,
            is_final=is_final(agreed.first),
            guard=guard,
        )
        unknown = dict.fromkeys(unknown_bases(source, self.counterparts.library))
        notes = [Note(source.name, _UNSHOWN.format(base)) for base in unknown]
        return PlannedClass(layer, (*agreed.attributes.notes, *signatures.notes, *notes))

    def _agreed(self, source: SourceClass) -> _Agreed:
        """Look at all definitions of a class that there are when the program runs."""
        definitions = [d for d in self.file.definitions[source.name] if d.under != FOR_TYPES]
        resolver = Resolver(self.counterparts.library)
        first, *others = (attributes_of(item.source, resolver) for item in definitions)
        common = {
            name: attribute
            for name, attribute in first.found.items()
            if all(other.found.get(name) == attribute for other in others)
        }
        ours = common.keys() & _NEEDED_IN_CLASSES
        common = {name: attribute for name, attribute in common.items() if name not in ours}
        notes = (
            *first.notes,
            *(Note(f"{source.name}.{name}", _NEEDED) for name in sorted(ours)),
            *([Note(source.name, _DIFFER)] if others else []),
        )
        above, *rest = (classes_above(d, self.file, self.counterparts) for d in definitions)
        names = [item.source.qualified_name for item in above]
        is_same = all([item.source.qualified_name for item in o] == names for o in rest)
        return _Agreed(definitions, above if is_same else (), Attributes(common, notes))

    def _bases(self, agreed: _Agreed, arguments: str) -> Iterator[str]:
        """The class first, so that what it overrides wins, and its memory layout is kept.

        But one that acts on its subclasses must not take the counterpart for one.
        """
        source = agreed.first.source
        own = self.speller.own_class(source, at_run_time=True)
        above = spelled_bases(agreed.first, agreed.above, self.counterparts, self.speller)
        if acts_on_subclasses(source, self.counterparts.library):
            yield from (*above, own + arguments, f"written_for={own}")
        else:
            yield from (own + arguments, *above)
        metaclass = self.metaclasses.needed(source, agreed.sources)
        if metaclass:
            yield f"metaclass={metaclass}"

    def _of_unknown(self, source: SourceClass, guard: GuardPlan | None) -> UserClassPlan:
        """The counterpart of a class that is another one in other runs."""
        own = self.speller.own_class(source, at_run_time=True)
        module = self.counterparts.module(at_run_time=True)
        name = self.counterparts.own[source.qualified_name]
        return UserClassPlan(
            name=name,
            original=source.qualified_name,
            spelled=own,
            bases=(own, module, f"metaclass={self.metaclasses.needed(source, ())}"),
            head=name,
            bases_comment=_FOREIGN_BASE,
            guard=guard,
        )

    def _guard(self, source: SourceClass) -> GuardPlan | None:
        """What the written file asks before it derives from a class that may be missing."""
        outer = source.name.partition(".")[0]
        if self.file.is_class(outer) and self.file.is_class(source.name):
            return None
        names = self.speller.names
        names.use_outside(ImportPlan("typing", "TYPE_CHECKING"), at_run_time=True)
        names.use_outside(ImportPlan(source.module), at_run_time=True)
        imported = names.guard(ImportPlan(source.module, outer)).text
        if outer in self.file.branches:
            return GuardPlan(outer, imported, _FOREIGN, _FOREIGN_ARGUMENT)
        return GuardPlan(outer, imported)

    def _inherited(self, agreed: _Agreed) -> Mapping[str, Attribute]:
        """What the counterparts above declare, if they stand in the written file."""
        found: dict[str, Attribute] = {}
        resolver = Resolver(self.counterparts.library)
        for source in reversed(agreed.sources):
            if source.qualified_name in self.counterparts.own:
                found |= attributes_of(source, resolver).found
        return found

    def _declared(
        self, declared: tuple[DeclaredPlan, ...], above: Sequence[SourceClass]
    ) -> Iterator[DeclaredPlan]:
        """The signatures, with what type checkers are told where a base has another one."""
        has_base = any(self._has_forward(source) for source in above)
        for item in declared:
            is_other = has_base and item.head.partition("[")[0] == "__call__"
            yield replace(item, comment=_OVERRIDE) if is_other else item

    def _substitute(self, above: Sequence[SourceClass]) -> Iterator[DeclaredPlan]:
        """Let `substitute` take more names than that of a layer of torch, which takes its own."""
        planner = self.counterparts.planner
        if not any(map(planner.substitutes, (s for s in above if self._is_torchs(s)))):
            return
        names = self.speller.names
        mapping, iterable, tensor, str_, bool_, tuple_ = map(names.use, _FOR_SUBSTITUTE)
        pairs = f"{iterable}[{tuple_}[{str_}, {tensor}]]"
        takes = f"named_params: {mapping}[{str_}, {tensor}] | {pairs}"
        yield DeclaredPlan(
            "substitute", ("self", takes, f"strict: {bool_} = True"), "None", comment=_OVERRIDE
        )

    def _is_torchs(self, source: SourceClass) -> bool:
        return source.qualified_name not in self.counterparts.own

    def _has_forward(self, source: SourceClass) -> bool:
        mro = self.counterparts.library.mro(source)
        return any("forward" in item.methods for item in mro if item.qualified_name != MODULE)

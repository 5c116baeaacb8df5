"""The typed attributes of a counterpart, and what their lines say to type checkers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from metann.codegen.model import DependentPlan, ImportPlan
from metann.codegen.source import SourceClass
from metann.codegen.user_model import FieldPlan
from metann.codegen.users.attributes import Attribute
from metann.codegen.users.bases import DEPENDENT_MODULE, Counterparts, is_dependent
from metann.codegen.users.generics import generic_of
from metann.codegen.users.kinds import Kind, Layer, Weight
from metann.codegen.users.outline import UserFile
from metann.codegen.users.spelling import UserSpeller

_ANY = ImportPlan("typing", "Any")
_DEPENDENT = ImportPlan("metann.fields", "dependent")
_SUBMODULE = ImportPlan("metann.fields", "submodule")
_TENSOR = ImportPlan("torch", "Tensor")
# A formatter does not break a line that ends with it.
_MYPY = "  # type: ignore[assignment, unused-ignore]"


@dataclass(frozen=True)
class Spelled:
    """A type as the written file spells it; `is_wider` than what the user's class is known by."""

    text: str
    is_wider: bool


@dataclass(frozen=True)
class FieldPlanner:
    """Plans the attributes that a counterpart declares."""

    counterparts: Counterparts
    speller: UserSpeller

    def fields(
        self,
        found: Mapping[str, Attribute],
        above: Mapping[str, Attribute],
        torchs: Set[str] = frozenset(),
    ) -> tuple[FieldPlan, ...]:
        """The attributes that the counterparts above do not declare in the same way.

        `torchs` are the names that a layer of torch above declares in its own way.

        Example: Attribute("conv", {Layer(Conv2d)}) -> `conv: DependentConv2d = submodule()`
        """
        own = [item for item in found.values() if not _is_same(item, above.get(item.name))]
        ordered = sorted(own, key=lambda item: 0 if item.is_weight else 1 if item.is_module else 2)
        return tuple(
            self._field(item, item.name in above or item.name in torchs) for item in ordered
        )

    def _field(self, attribute: Attribute, is_declared: bool) -> FieldPlan:
        if attribute.is_module:
            spelled, declared_by = self._module(attribute), _SUBMODULE
        else:
            tensor = self.counterparts.names.use(_TENSOR)
            spelled, declared_by = Spelled(tensor, attribute.is_weight), _DEPENDENT
        text = f"{spelled.text} | None" if attribute.is_optional else spelled.text
        is_wider = spelled.is_wider or (attribute.is_optional and not attribute.is_buffer)
        is_override = is_declared or attribute.is_annotated
        field = FieldPlan(attribute.name, text, is_override=is_override)
        if attribute.is_buffer:
            # A type checker takes `self.cache = None` for the attribute's whole type, unless an
            # annotation has said more: `LongTensor`, maybe.
            assigned = Kind.SET_BUFFER in attribute.kinds or attribute.is_optional
            is_wider = assigned or attribute.is_annotated
            return replace(field, comment=_MYPY if is_wider or is_declared else "")
        by = self.counterparts.names.use(declared_by, at_run_time=True)
        comment = _MYPY if is_wider or is_declared else ""
        return replace(field, declared_by=by, comment=comment)

    def _module(self, attribute: Attribute) -> Spelled:
        """Example: {Layer(ReLU), Layer(GELU)} -> "DependentGELU | DependentReLU"."""
        sources = [kind.source for kind in attribute.kinds if isinstance(kind, Layer)]
        nearest = {item.qualified_name: self._counterpart(item) for item in sources}
        texts = {text for text, _ in nearest.values()}
        if Kind.MODULE in attribute.kinds or self.counterparts.module() in texts:
            return Spelled(self.counterparts.module(), bool(sources))
        exact = all(is_own for _, is_own in nearest.values())
        return Spelled(" | ".join(sorted(texts)), len(texts) > 1 or not exact)

    def _counterpart(self, source: SourceClass) -> tuple[str, bool]:
        """The type that a layer has after conversion, and whether it is of that very class."""
        if is_dependent(source, self.counterparts.library):
            module = source.qualified_name == DEPENDENT_MODULE
            item = ImportPlan(source.module, source.name.partition(".")[0])
            return self.counterparts.names.use(item) + source.name.partition(".")[2], not module
        nearest = self.counterparts.nearest(source)
        if nearest is None:
            return self.counterparts.module(), False
        becomes = self.counterparts.planner.becomes(nearest)
        name = self.counterparts.name(becomes or nearest)
        if becomes is None:
            name += self._anything(nearest)
        return name, becomes is None and nearest.qualified_name == source.qualified_name

    def _anything(self, source: SourceClass) -> str:
        """What a generic class of the file is given in brackets. Example: "[Any, Any]"."""
        file = self.counterparts.library.files.get(source.module)
        if source.qualified_name not in self.counterparts.own or not isinstance(file, UserFile):
            return ""
        generic = generic_of(file.definitions[source.name][0], file, self.speller)
        if not generic.arguments or "*" in generic.arguments:
            return ""
        any_ = self.counterparts.names.use(_ANY)
        return f"[{', '.join(any_ for _ in generic.arguments.split(','))}]"


def documented(
    found: Mapping[str, Attribute], above: Mapping[str, Attribute]
) -> tuple[DependentPlan, ...]:
    """The weights of a class, for its docstring; those that the counterparts above list apart."""
    own = (item for item in found.values() if not _is_same(item, above.get(item.name)))
    return tuple(
        DependentPlan(item.name, tuple(_shapes(item)), item.is_optional)
        for item in own
        if item.is_weight
    )


def _shapes(attribute: Attribute) -> Iterator[str]:
    """The shapes that are known; none if one of several is not."""
    shapes = [kind.shape for kind in attribute.kinds if isinstance(kind, Weight)]
    if None not in shapes:
        yield from sorted(filter(None, shapes))


def _is_same(attribute: Attribute, above: Attribute | None) -> bool:
    return above is not None and attribute.kinds == above.kinds

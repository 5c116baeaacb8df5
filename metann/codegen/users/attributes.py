"""Which attributes of a user's class are weights and submodules, and what each can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libcst as cst

from metann.codegen.model import Note
from metann.codegen.source import SourceClass
from metann.codegen.users.bases import is_dependent
from metann.codegen.users.kinds import Kind, Kinds, Layer, Resolver, Weight, Where
from metann.codegen.users.looks import LOOKS, looks_like_one
from metann.codegen.users.members import Given, Members, read_members
from metann.codegen.users.outline import UserFile

_UNNAMED = "which names this gives is known only at run time; they are found, but have no type"

_OF_ANOTHER_FILE = (
    "of another file; import the file with its counterpart before, or it gets one on first use"
)


@dataclass(frozen=True)
class Attribute:
    """An attribute, all that it can be, and whether the user's source gives it a type.

    `looks_like_one`: as a module or a weight, if it is not known what it is.
    """

    name: str
    kinds: Kinds
    is_annotated: bool = False
    looks_like_one: bool = False

    @property
    def is_weight(self) -> bool:
        """Whether it is a parameter, or None."""
        return self._is_only(Weight)

    @property
    def is_module(self) -> bool:
        """Whether it is a module, or None."""
        return self._is_only(Layer, Kind.MODULE)

    @property
    def is_buffer(self) -> bool:
        """Whether it is a buffer, or None."""
        return self._is_only(Kind.BUFFER, Kind.SET_BUFFER)

    @property
    def is_optional(self) -> bool:
        """Whether it may be None."""
        return Kind.NONE in self.kinds

    def _is_only(self, *wanted: type | Kind) -> bool:
        kinds = self.kinds - {Kind.NONE}
        return bool(kinds) and all(type(kind) in wanted or kind in wanted for kind in kinds)


@dataclass(frozen=True)
class Attributes:
    """The attributes of a class and its bases that have a type, and what has none, with why."""

    found: Mapping[str, Attribute]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class _Body:
    """What one class of the inheritance says, and the file its names mean something in."""

    members: Members
    file: UserFile
    name: str


def attributes_of(source: SourceClass, resolver: Resolver) -> Attributes:
    """Look at all that a class and its bases give to `self`; torch's own layers are left out.

    Example: `self.conv = nn.Conv2d(1, 2, 3)` -> Attribute("conv", {Layer(Conv2d)})
    """
    bodies = [
        _Body(read_members(definition.node), file, definition.source.name)
        for definition, file in resolver.definitions(source)
    ]
    held = {name for body in bodies for name in body.members.held}
    given = {name for body in bodies for name in body.members.given}
    names = [name for body in reversed(bodies) for name in _names(body.members)]
    found: dict[str, Attribute] = {}
    notes: list[Note] = []
    for name in dict.fromkeys(name for name in names if not (name in held and name not in given)):
        attribute = _attribute(name, bodies, source, resolver)
        reason = _why_not(attribute, held)
        if reason is None:
            found[name] = attribute
        elif reason:
            notes.append(Note(f"{source.name}.{name}", reason))
    notes += _of_others(found, source, resolver)
    own = [body for body in bodies if body.name == source.name]
    notes += [note for body in own for note in _unnamed(body)]
    return Attributes(found, tuple(dict.fromkeys(notes)))


def _names(members: Members) -> Iterator[str]:
    yield from members.given
    yield from (name for name in members.annotations if name not in members.given)


def _attribute(
    name: str, bodies: list[_Body], source: SourceClass, resolver: Resolver
) -> Attribute:
    values = [
        (item, Where(file, source, item.function))
        for file, item in resolver.values_of(name, source)
    ]
    kinds = Kinds().union(*(resolver.given(item, where) for item, where in values))
    annotated = [body for body in bodies if name in body.members.annotations]
    if annotated and (Kind.OTHER in kinds or not kinds):
        body = annotated[0]
        node = body.members.annotations[name]
        kinds = resolver.annotation(node, Where(body.file, source)) or kinds
    looks = Kind.OTHER in kinds and any(
        looks_like_one(item.value, where, resolver) for item, where in values
    )
    return Attribute(name, kinds, bool(annotated), looks)


def _why_not(attribute: Attribute, held: set[str]) -> str | None:
    """Why an attribute gets no type; "" if it needs none; None if it gets one."""
    kinds = attribute.kinds - {Kind.NONE}
    known = kinds - {Kind.OTHER, Kind.BUFFER, Kind.SET_BUFFER}
    if not known and not attribute.is_buffer:
        return LOOKS if attribute.looks_like_one else ""
    if attribute.name in held:
        return "the class itself holds a value of this name, which Python finds first"
    if attribute.name.startswith("__"):
        return "a name with two underscores is the class's own"
    if Kind.OTHER in kinds:
        return "it is also given something of which the source does not say what it is"
    if not (attribute.is_weight or attribute.is_module or attribute.is_buffer):
        return "it is a module, a parameter or a buffer, depending on the run"
    return None


def _of_others(
    found: Mapping[str, Attribute], source: SourceClass, resolver: Resolver
) -> Iterator[Note]:
    """The children whose class is in another file of a user's, and what that means for them."""
    kinds = (kind for attribute in found.values() for kind in attribute.kinds)
    for other in (kind.source for kind in kinds if isinstance(kind, Layer)):
        is_here = other.module == source.module or other.module.startswith("torch.")
        if not is_here and not is_dependent(other, resolver.library):
            yield Note(other.qualified_name, _OF_ANOTHER_FILE)


def _unnamed(body: _Body) -> Iterator[Note]:
    """What gives modules or weights under names that nobody knows before the program runs."""
    for text, given in body.members.unnamed:
        if not _is_plain(given):
            yield Note(f"{body.name}: {text}", _UNNAMED)


def _is_plain(given: Given) -> bool:
    """Whether a value is certainly neither a module nor a parameter."""
    plain = (cst.Integer, cst.Float, cst.SimpleString, cst.FormattedString, cst.Lambda)
    return given.how == "buffer" or isinstance(given.value, plain)

"""Where a user's class has names that the other bases of its counterpart have, too.

Type checkers compare the two, and have to be told that the user's own is meant to win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from metann.codegen.library import MODULE
from metann.codegen.source import SourceClass
from metann.codegen.syntax import text_of
from metann.codegen.users.attributes import Attribute
from metann.codegen.users.bases import DEPENDENT_MODULE, Counterparts
from metann.codegen.users.members import read_members
from metann.codegen.users.outline import Definition, UserFile
from metann.codegen.users.signatures import head_of

_NOT_COMPARED = frozenset({"__init__", "__new__", "__init_subclass__"})


def has_overlaps(
    definition: Definition,
    above: Sequence[SourceClass],
    inherited: Mapping[str, Attribute],
    counterparts: Counterparts,
) -> bool:
    """Whether a type checker may find two definitions of one name.

    Example: `class Scaled(nn.Linear)` with a `forward`, as DependentLinear has one -> True
    """
    library = counterparts.library
    below = {item.qualified_name for source in above for item in library.mro(source)}
    own = _own_names(definition.source, below, counterparts)
    theirs = {*inherited, "__call__"} if above else set[str]()
    for item in (*above, library.find(DEPENDENT_MODULE)):
        if item is not None:
            theirs |= _torchs_names(item, counterparts) - _own_names(item, set(), counterparts)
    return bool((own & theirs) - _NOT_COMPARED) or _redefines(definition, above, counterparts)


def _redefines(
    definition: Definition, above: Sequence[SourceClass], counterparts: Counterparts
) -> bool:
    """Whether a method takes or returns something else than that of a base with a counterpart."""
    functions = read_members(definition.node).functions
    for item in (base for source in above for base in counterparts.library.mro(source)):
        file = counterparts.library.files.get(item.module)
        if not isinstance(file, UserFile):
            continue
        for other in file.definitions[item.name]:
            theirs = read_members(other.node).functions
            common = (functions.keys() & theirs.keys()) - _NOT_COMPARED
            if any(head_of(functions[name]) != head_of(theirs[name]) for name in common):
                return True
    return False


def torchs_names(above: Sequence[SourceClass], counterparts: Counterparts) -> Set[str]:
    """What the layers of torch among some classes define."""
    layers = [item for item in above if item.qualified_name not in counterparts.own]
    return {name for item in layers for name in _torchs_names(item, counterparts)}


def _own_names(source: SourceClass, below: Set[str], counterparts: Counterparts) -> Set[str]:
    """The names of the class and of its bases, but for those that its counterpart's have."""
    found: set[str] = set()
    for item in counterparts.library.mro(source):
        file = counterparts.library.files.get(item.module)
        if item.qualified_name in below or not isinstance(file, UserFile):
            continue
        for definition in file.definitions[item.name]:
            members = read_members(definition.node)
            found |= {*members.held, *members.given, *members.annotations}
    return found


def _torchs_names(source: SourceClass, counterparts: Counterparts) -> Set[str]:
    """What a layer of torch, or `DependentModule`, and its bases define."""
    found: set[str] = set()
    for item in counterparts.library.mro(source):
        if item.qualified_name == MODULE:
            break
        found |= {*item.methods, *item.annotations, *item.submodules}
        found |= {registration.name for registration in item.registrations}
    return found


def is_final(definition: Definition) -> bool:
    """Whether type checkers refuse all subclasses of a class."""
    decorators = (text_of(item.decorator) or "" for item in definition.node.decorators)
    return any(name.rpartition(".")[2] == "final" for name in decorators)

"""Where torch's own class contradicts its bases, in the eyes of a strict type checker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from metann.codegen.library import MODULE, Library
from metann.codegen.source import Function, SourceClass

# Every class has its own, and type checkers do not compare constructors. `forward` is torch.nn's
# own exception: each counterpart declares its own.
_NOT_COMPARED = ("__init__", "forward")


def find_clashes(
    library: Library, source: SourceClass, above: SourceClass | None, declared: Sequence[str]
) -> tuple[str, ...]:
    """The rules of pyright that a counterpart breaks because the torch class does.

    The attributes in `declared` do not count: the counterpart has its own annotation for them.

    Example: nn.LSTM takes pairs where nn.RNNBase takes tensors ->
    "reportIncompatibleMethodOverride"
    """
    base = above or library.find(MODULE)
    if base is None:
        return ()
    inherited = library.mro(base)
    own = [item for item in library.mro(source) if item not in inherited]
    skipped = (*_NOT_COMPARED, *declared)
    rules = {
        "reportIncompatibleMethodOverride": _contradict(
            _merged(item.methods for item in own),
            _merged(item.methods for item in inherited),
            skipped,
        ),
        "reportIncompatibleVariableOverride": _contradict(
            _merged(item.annotations for item in own),
            _merged(item.annotations for item in inherited),
            skipped,
        ),
    }
    return tuple(rule for rule, is_broken in rules.items() if is_broken)


def _merged(members: Iterable[Mapping[str, Function | str]]) -> dict[str, Function | str]:
    """The members of several classes, the first one to have a name wins."""
    found: dict[str, Function | str] = {}
    for mapping in members:
        found = {**mapping, **found}
    return found


def _contradict(
    own: Mapping[str, Function | str],
    inherited: Mapping[str, Function | str],
    skipped: Sequence[str],
) -> bool:
    common = [name for name in own if name in inherited and name not in skipped]
    return any(_differ(_types(own[name]), _types(inherited[name])) for name in common)


def _differ(own: list[str | None], inherited: list[str | None]) -> bool:
    """Whether two lists of annotations contradict each other; where one says nothing, it may."""
    pairs = zip(own, inherited, strict=False)
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _types(member: Function | str) -> list[str | None]:
    """What a type checker compares: the annotations."""
    if isinstance(member, str):
        return [member]
    signature = member.signatures[0]
    return [signature.returns, *(argument.annotation for argument in signature.arguments)]

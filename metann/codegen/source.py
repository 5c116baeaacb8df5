"""What is read: torch's files, classes and signatures as frozen values.

Expressions are kept as the text they have in the file; `spelling.py` translates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Argument:
    """One entry of a parameter list; the markers `*` and `/` are entries without a name.

    Example: `Argument("bias", "bool", "True")` shows as `bias: bool = True`.
    """

    name: str
    annotation: str | None = None
    default: str | None = None
    prefix: str = ""

    def __str__(self) -> str:
        text = self.prefix + self.name
        if self.annotation is not None:
            text += f": {self.annotation}"
        if self.default is not None:
            text += f" = {self.default}" if self.annotation is not None else f"={self.default}"
        return text


@dataclass(frozen=True)
class Signature:
    """The arguments (a method's `self` first), and the annotation of what is returned."""

    arguments: tuple[Argument, ...] = ()
    returns: str | None = None


@dataclass(frozen=True)
class Function:
    """A function or method: its overloads, or its one signature.

    `returned` is the expression of its `return`, if that is all its body does.
    """

    signatures: tuple[Signature, ...]
    returned: str | None = None

    @property
    def has_typed_result(self) -> bool:
        """Whether a type checker knows what a call gives."""
        return all(signature.returns is not None for signature in self.signatures)


@dataclass(frozen=True)
class Registration:
    """`self.weight = Parameter(torch.empty((out_features, in_features)))` in a constructor.

    `conditions` are the arguments, or attributes, that decide whether it runs, each with the value
    that lets it. Example: ("elementwise_affine", True), ("bias", True)
    """

    name: str
    shape: str | None
    is_none: bool = False
    conditions: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class SourceClass:
    """A class as its file states it, before inheritance."""

    name: str
    module: str
    bases: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    methods: Mapping[str, Function] = field(default_factory=dict[str, Function])
    registrations: tuple[Registration, ...] = ()
    submodules: Mapping[str, str] = field(default_factory=dict[str, str])
    passed_up: tuple[str, ...] = ()
    becomes: str | None = None
    is_deprecated: bool = False

    @property
    def qualified_name(self) -> str:
        """Example: "torch.nn.modules.linear.Linear"."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class SourceFile:
    """One Python file: what its names mean, its type aliases and its classes."""

    module: str
    imports: Mapping[str, str] = field(default_factory=dict[str, str])
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    classes: Mapping[str, SourceClass] = field(default_factory=dict[str, SourceClass])
    is_package: bool = False
    stars: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()
    assigned: frozenset[str] = frozenset()

    def qualified(self, dotted: str) -> str:
        """What a name written in this file stands for; builtins stay as they are.

        Example: "F.linear" -> "torch.nn.functional.linear"
        """
        first, _, rest = dotted.partition(".")
        if first in self.classes or first in self.assigned:
            first = f"{self.module}.{first}"
        else:
            first = self.imports.get(first, first)
        return f"{first}.{rest}" if rest else first

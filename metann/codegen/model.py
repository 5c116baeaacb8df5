"""What is to be written: frozen values that the templates show, with no libcst, black or torch.

The runtime uses `ClassPlan` and `render.py`, too, for counterparts it writes at first use.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from metann.codegen.source import Argument

# Of the two names in a line of the table: the rest is quotes and indentation.
_LONGEST = 89


@dataclass(frozen=True, order=True)
class ImportPlan:
    """One imported name; `import module` if `name` is empty.

    Example: `ImportPlan("torch", "Tensor")` -> `from torch import Tensor`
    """

    module: str
    name: str = ""
    alias: str = ""

    @property
    def text(self) -> str:
        """Example: "Dropout as D"; of `import torch.nn.functional as F`: all after `import`."""
        name = self.name or self.module
        return f"{name} as {self.alias}" if self.alias else name

    @property
    def is_private(self) -> bool:
        """Whether torch calls the name private."""
        return self.name.startswith("_") and not self.alias

    @property
    def comment(self) -> str:
        """What the line of a private name says to pyright, and why."""
        if not self.is_private:
            return ""
        return "  # pyright: ignore[reportPrivateUsage]  # it has no public name"

    @property
    def is_internal(self) -> bool:
        """Whether the name, or the module it comes from, is private to torch."""
        return self.is_private or "._" in self.module


@dataclass(frozen=True)
class ImportLine:
    """The names imported from one module, or one `import module`, in the order of isort."""

    module: str
    names: tuple[ImportPlan, ...]
    starts_section: bool = False

    @property
    def is_from(self) -> bool:
        """Whether it reads `from module import ...`."""
        return bool(self.names[0].name)

    @property
    def has_private(self) -> bool:
        """Whether pyright has to be told that a private name is meant."""
        return any(name.is_private for name in self.names)


@dataclass(frozen=True)
class DependentPlan:
    """A weight that may be a dependent.

    Example: `DependentPlan("bias", ("(out_features,)",), is_optional=True, none_with="bias=False")`
    """

    name: str
    shapes: tuple[str, ...] = ()
    is_optional: bool = False
    none_with: str = field(default="", compare=False)  # no other declaration for that
    torch_type: str | None = None
    declared_by: str = "dependent"

    @property
    def annotation(self) -> str:
        """Example: "Tensor | None"."""
        return "Tensor | None" if self.is_optional else "Tensor"

    @property
    def comment(self) -> str:
        """What the line says to mypy if torch's own class declares another type, and why."""
        if self.torch_type is None:
            return ""
        return f"  # type: ignore[assignment]  # torch has it as {self.torch_type}"

    @property
    def description(self) -> str:
        """Example: "shape (out_features,), or None with bias=False"."""
        known = f"shape {' or '.join(self.shapes)}" if self.shapes else "shape as given"
        when = f" with {self.none_with}" if self.none_with else ""
        return f"{known}, or None{when}" if self.is_optional else known


@dataclass(frozen=True)
class PassedPlan:
    """An argument of a call on a line of its own, and what the line says to type checkers."""

    text: str
    comment: str = ""


@dataclass(frozen=True)
class SubmodulePlan:
    """A submodule that is always there.

    Example: `SubmodulePlan("linear1", "DependentLinear")`
    """

    name: str
    annotation: str
    declared_by: str = "submodule"
    comment: str = ""


@dataclass(frozen=True)
class MethodPlan:
    """A method.

    `returned` is what its only statement returns; it is None if only the type is declared.
    `is_overload`: one of several signatures; the last of the name is none, and takes anything.
    `is_untyped`: a type checker does not know what that is. `comment`: what the line says to it.
    `says`: its docstring; an editor shows that of a constructor where one is called.
    `called` and `passed` are its parts, given only where torch's type stubs refuse what torch's
    own forward passes.
    """

    name: str
    arguments: tuple[Argument, ...]
    returns: str
    returned: str | None = None
    is_overload: bool = False
    is_untyped: bool = False
    comment: str = ""
    says: str = ""
    called: str = ""
    passed: tuple[PassedPlan, ...] = ()


@dataclass(frozen=True)
class DocstringPlan:
    """What a docstring says beside what the class is the counterpart of; see `words/entry.py`."""

    computes: str = ""
    more: str = ""
    shape: str = ""
    dependents: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassPlan:
    """A counterpart.

    `declared` is what only type checkers see (torch's own methods run), `methods` what runs.
    `why_delegates` says why torch's forward is not written out; it is empty if it is, or if the
    counterpart of the torch class `forward_of` has it already.
    `clashes`: the rules of pyright that torch's own class breaks against its bases.
    `substitutes`: the names that `substitute` takes, where they are all known.
    """

    name: str
    original: str
    bases: tuple[str, ...]
    link: str = ""
    docstring: DocstringPlan = DocstringPlan()
    dependents: tuple[DependentPlan, ...] = ()
    submodules: tuple[SubmodulePlan, ...] = ()
    becomes: str | None = None
    is_deprecated: bool = False
    clashes: tuple[str, ...] = ()
    declared: tuple[MethodPlan, ...] = ()
    methods: tuple[MethodPlan, ...] = ()
    substitutes: tuple[str, ...] = ()
    why_delegates: str = ""
    forward_of: str = ""

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing more to say than what it is the counterpart of."""
        return not (self.link or self.docstring.computes or self.said_of_dependents)

    @property
    def said_of_dependents(self) -> tuple[str, ...]:
        """What the docstring says of each, of inherited ones, too, if it was planned.

        Example: "weight: shape (out_features, in_features)."
        """
        own = (f"{item.name}: {item.description}." for item in self.dependents)
        return self.docstring.dependents or tuple(own)

    @property
    def fields(self) -> list[DependentPlan | SubmodulePlan]:
        """The dependents that have one name, under which they can be declared; then submodules."""
        return [*(item for item in self.dependents if item.name.isidentifier()), *self.submodules]

    @property
    def comment(self) -> str:
        """What the line that names a deprecated class says to pyright."""
        return "  # pyright: ignore[reportDeprecated]" if self.is_deprecated else ""

    @property
    def how(self) -> str:
        """How its forward comes about, for the list of all classes."""
        if self.forward_of:
            return f"inherits the forward of the counterpart of {self.forward_of}"
        return f"delegates to torch: {self.why_delegates}" if self.why_delegates else "written out"


@dataclass(frozen=True)
class FilePlan:
    """A file of counterparts, one for each torch source file that has something to generate."""

    name: str
    source: str
    torch_version: str
    imports: tuple[ImportLine, ...]
    type_imports: tuple[ImportLine, ...]
    layers: tuple[ClassPlan, ...]


@dataclass(frozen=True)
class Counterpart:
    """Where the counterpart of a torch class stands, for the table and the overloads.

    Example: `Counterpart("torch.nn.modules.linear.Linear", "nn.Linear", "linear",
    "DependentLinear")`
    """

    original: str
    spelled: str
    file: str
    name: str
    is_deprecated: bool = False

    @property
    def is_long(self) -> bool:
        """Whether the table needs two lines for it."""
        return len(self.original) + len(self.name) > _LONGEST

    @property
    def comment(self) -> str:
        """What the line that names a deprecated class says to pyright."""
        return "  # pyright: ignore[reportDeprecated]" if self.is_deprecated else ""


@dataclass(frozen=True)
class Note:
    """What a user has to know about what was written of their file, and why it is so.

    Example: `Note("line 12: getattr(nn, name)", "which layer this gives is known at run time")`
    """

    what: str
    why: str


@dataclass(frozen=True)
class Skipped:
    """A class that is not written, and why."""

    original: str
    why: str

    def why_skipped(self) -> str:
        """The reason in words."""
        return self.why


@dataclass(frozen=True)
class LibraryPlan:
    """All that is to be written of one version of torch, and what is not."""

    torch_version: str
    files: tuple[FilePlan, ...]
    counterparts: tuple[Counterpart, ...]
    overload_imports: tuple[ImportLine, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def by_name(self) -> list[Counterpart]:
        """The counterparts in the order of their names."""
        return sorted(self.counterparts, key=lambda item: item.name)

    @property
    def by_file(self) -> list[Counterpart]:
        """The counterparts in the order of their files, then of their names."""
        return sorted(self.counterparts, key=lambda item: (item.file, item.name.lower()))

    @property
    def by_original(self) -> list[Counterpart]:
        """The counterparts in the order of torch's qualified names."""
        return sorted(self.counterparts, key=lambda item: item.original)

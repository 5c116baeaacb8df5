"""What is written of a user's file: frozen values that the templates show."""

from __future__ import annotations

from dataclasses import dataclass

from metann.codegen.model import DependentPlan, ImportLine, Note


@dataclass(frozen=True)
class FieldPlan:
    """A typed attribute; `declared_by` is empty if the class only annotates it.

    `is_override` if a class above, the user's own or another, declares it in another way.

    Example: `FieldPlan("conv1", "DependentConv2d", "submodule")` shows as
    `conv1: DependentConv2d = submodule()`
    """

    name: str
    annotation: str
    declared_by: str = ""
    comment: str = ""
    is_override: bool = False


@dataclass(frozen=True)
class DeclaredPlan:
    """The signature of a method, for type checkers only; the user's own method runs.

    `head` is its name, with its type parameters if it has some. Example: "__call__[T]"
    """

    head: str
    arguments: tuple[str, ...]
    returns: str
    is_overload: bool = False
    comment: str = ""


@dataclass(frozen=True)
class GuardPlan:
    """A class that is not there in every run of the user's file: `name` in `module`.

    `imported` is what is imported where it is; the comments are for type checkers, where it may
    be a class of another package.
    """

    name: str
    imported: str
    import_comment: str = ""
    register_comment: str = ""


@dataclass(frozen=True)
class UserClassPlan:
    """The counterpart of a user's class.

    `spelled` is the user's class in the written file ("Net", "Outer.Net"), `type_parameters` what
    both are generic in, if they are ("[T]"), `head` the counterpart's name as `class` is followed
    by it. The comments are what these lines say to type checkers.
    """

    name: str
    original: str
    spelled: str
    bases: tuple[str, ...]
    head: str = ""
    type_parameters: str = ""
    comment: str = ""
    bases_comment: str = ""
    dependents: tuple[DependentPlan, ...] = ()
    fields: tuple[FieldPlan, ...] = ()
    declared: tuple[DeclaredPlan, ...] = ()
    is_deprecated: bool = False
    is_final: bool = False
    guard: GuardPlan | None = None


@dataclass(frozen=True)
class MetaclassPlan:
    """A metaclass of the user's, made one that shows counterparts as their originals."""

    name: str
    base: str


@dataclass(frozen=True)
class DoorPlan:
    """One overload of `to_dependent`. Example: `DoorPlan("to_dependent", "Net", "DependentNet")`"""

    head: str
    takes: str
    returns: str
    comment: str = ""


@dataclass(frozen=True)
class SettingPlan:
    """A setting of a type checker for the whole file, and why it is there."""

    text: str
    why: str


_NARROWER = SettingPlan(
    "pyrefly: ignore-errors[bad-override-mutable-attribute]",
    "A submodule is declared as what it becomes, a subclass of what the user's class makes.",
)
# No comment of a line, as a formatter may break the line and move it.
_OVERRIDE = SettingPlan(
    "pyright: reportIncompatibleVariableOverride=false",
    "The user's class, or one above, declares the same attribute as what it was before.",
)
_FINAL = SettingPlan(
    "pyrefly: ignore-errors[invalid-inheritance]",
    "A class that is final has a counterpart, too.",
)
_DEPRECATED = SettingPlan(
    "pyright: reportDeprecated=false", "A class that is deprecated has a counterpart, too."
)


@dataclass(frozen=True)
class UserFilePlan:
    """A file of counterparts of a user's own modules, and the command that writes it.

    `notes` are what the user should know and cannot see in the file.
    """

    source: str
    command: str
    imports: tuple[ImportLine, ...]
    type_imports: tuple[ImportLine, ...]
    metaclasses: tuple[MetaclassPlan, ...]
    layers: tuple[UserClassPlan, ...]
    doors: tuple[DoorPlan, ...]
    notes: tuple[Note, ...] = ()

    @property
    def settings(self) -> list[SettingPlan]:
        """What is said to type checkers for all of the file."""
        fields = [field for layer in self.layers for field in layer.fields]
        settings = (
            (_NARROWER, bool(fields)),
            (_OVERRIDE, any(field.is_override for field in fields)),
            (_FINAL, any(layer.is_final for layer in self.layers)),
            (_DEPRECATED, any(layer.is_deprecated for layer in self.layers)),
        )
        return [setting for setting, is_needed in settings if is_needed]

    @property
    def has_guards(self) -> bool:
        """Whether some class is not there in every run."""
        return any(layer.guard is not None for layer in self.layers)

"""An annotation or a default of a user's file -> the same in the written file."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field

import libcst as cst
from typing_extensions import override

from metann.codegen.library import Library
from metann.codegen.model import ImportPlan
from metann.codegen.source import SourceClass
from metann.codegen.syntax import code_of, text_of
from metann.codegen.users.members import literal, read_members
from metann.codegen.users.names import Names
from metann.codegen.users.outline import UserFile


class UnknownNameError(Exception):
    """The user's file does not say what a name stands for."""


@dataclass(frozen=True)
class Place:
    """Where an expression stands: in which file, in which class, beside which type parameters."""

    file: UserFile
    owner: SourceClass | None = None
    local: frozenset[str] = field(default_factory=frozenset[str])


@dataclass(frozen=True)
class UserSpeller:
    """Spells a user's expressions with the names that the written file has for things.

    Example: `N.Conv2d`, where the user's file has `import torch.nn as N` -> `nn.Conv2d`
    """

    library: Library
    names: Names

    def type(self, node: cst.BaseExpression, place: Place, *, at_run_time: bool = False) -> str:
        """Translate a type, also one in quotes.

        Raises:
            UnknownNameError: nothing in the file defines a name in it.
        """
        return self._translated(node, _TypeTranslator(self, place, at_run_time))

    def value(self, node: cst.BaseExpression, place: Place) -> str:
        """Translate an expression that is no type.

        Raises:
            UnknownNameError: nothing in the file defines a name in it.
        """
        return self._translated(node, _Translator(self, place, False))

    def _translated(self, node: cst.CSTNode, translator: _Translator) -> str:
        with self.names.all_or_nothing():
            translated = node.visit(translator)
        assert isinstance(translated, cst.CSTNode)
        return code_of(translated)

    def parameters(self, parameters: cst.TypeParameters, place: Place) -> str:
        """Type parameters (PEP 695), with their bounds. Example: "[T: nn.Module, *Ts]"."""
        return self._translated(parameters, _TypeTranslator(self, place, False))

    def name(self, dotted: str, place: Place, at_run_time: bool) -> str:
        """Translate a dotted name."""
        first, _, rest = dotted.partition(".")
        if first in place.local:
            return dotted
        owner = self._class_with(first, place.owner)
        if owner is not None:
            return f"{self.own_class(owner, at_run_time)}.{dotted}"
        local = self.names.use(self._import(dotted, place.file), at_run_time=at_run_time)
        return f"{local}.{rest}" if rest else local

    def own_class(self, source: SourceClass, at_run_time: bool) -> str:
        """A class of the user's. Example: Inner in Outer -> "Outer.Inner"."""
        outer, _, rest = source.name.partition(".")
        local = self.names.use(ImportPlan(source.module, outer), at_run_time=at_run_time)
        return f"{local}.{rest}" if rest else local

    def _class_with(self, name: str, owner: SourceClass | None) -> SourceClass | None:
        """The class in whose body a name is found, that has it without a dot."""
        if owner is None:
            return None
        file = self.library.files[owner.module]
        if not isinstance(file, UserFile):
            return None
        held = (read_members(item.node).held for item in file.definitions[owner.name])
        return owner if any(name in names for names in held) else None

    def _import(self, dotted: str, file: UserFile) -> ImportPlan:
        """What imports the first part of a dotted name."""
        first = dotted.partition(".")[0]
        if first in file.classes or first in file.assigned:
            return ImportPlan(file.module, first)
        plain = [name for name in file.modules if f"{dotted}.".startswith(f"{name}.")]
        if plain:
            return ImportPlan(max(plain, key=len))
        if first in file.imports:
            module, _, name = file.imports[first].rpartition(".")
            alias = first if first != (name or module) else ""
            return ImportPlan(module, name, alias) if module else ImportPlan(name, "", alias)
        if hasattr(builtins, first):
            return ImportPlan("builtins", first)
        return self._starred(first, file)

    def _starred(self, name: str, file: UserFile) -> ImportPlan:
        for star in file.stars:
            other = self.library.files.get(star)
            if other is not None and _defines(other, name):
                return ImportPlan(star, name)
        if not file.stars:
            raise UnknownNameError(name)
        return ImportPlan(file.module, name)


def _defines(file: object, name: str) -> bool:
    return isinstance(file, UserFile) and (name in file.classes or name in file.assigned)


class _Translator(cst.CSTTransformer):
    def __init__(self, speller: UserSpeller, place: Place, at_run_time: bool) -> None:
        super().__init__()
        self.speller, self.place, self.at_run_time = speller, place, at_run_time

    @override
    def visit_Attribute(self, node: cst.Attribute) -> bool:
        """A dotted name is translated as a whole; of `f(x).y`, only `f(x)`."""
        return text_of(node) is None

    @override
    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        dotted = text_of(original_node)
        if dotted is None:
            return updated_node.with_changes(attr=original_node.attr)
        return self._named(dotted)

    @override
    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        return self._named(original_node.value)

    @override
    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        """The name of a keyword argument is no name of the file."""
        return updated_node.with_changes(keyword=original_node.keyword)

    def _named(self, dotted: str) -> cst.BaseExpression:
        return cst.parse_expression(self.speller.name(dotted, self.place, self.at_run_time))


class _TypeTranslator(_Translator):
    """What stands in quotes is a type, too; what stands in `Literal[...]` is none."""

    @override
    def visit_Subscript(self, node: cst.Subscript) -> bool:
        return not self._is_literal(node)

    @override
    def leave_Subscript(
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        dotted = text_of(original_node.value)
        if dotted is None or not self._is_literal(original_node):
            return updated_node
        return updated_node.with_changes(value=self._named(dotted))

    @override
    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """A type in quotes; what is none, as in `Float[Tensor, "b c"]`, stays."""
        try:
            node = cst.parse_expression(literal(original_node) or "")
            with self.speller.names.all_or_nothing():
                translated = node.visit(self)
        except (cst.ParserSyntaxError, UnknownNameError):
            return updated_node
        assert isinstance(translated, cst.BaseExpression)
        return translated

    def _is_literal(self, node: cst.Subscript) -> bool:
        name = self.place.file.qualified(text_of(node.value) or "")
        return name.rpartition(".")[2] == "Literal"

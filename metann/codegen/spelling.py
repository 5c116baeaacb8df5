"""Translates an expression of torch's file into one that is right in a generated file."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst
from typing_extensions import override

from metann.codegen.library import Library
from metann.codegen.model import ImportPlan
from metann.codegen.source import SourceFile
from metann.codegen.syntax import code_of, text_of
from metann.replaced import REPLACED

_NN = ImportPlan("torch", "nn")
_FUNCTIONAL = ImportPlan("torch.nn.functional", alias="F")
_OUR_FUNCTIONS = ImportPlan("metann", "functional")
_OURS = {row.original: row.by for row in REPLACED}


@dataclass(frozen=True)
class Spelled:
    """An expression, and what it needs imported."""

    text: str
    imports: frozenset[ImportPlan] = frozenset()


@dataclass(frozen=True)
class Speller:
    """Spells names the way a generated file does.

    Example: in torch/nn/modules/conv.py "_size_2_t" -> "int | tuple[int, int]";
    "Module" -> "nn.Module", which needs `from torch import nn`
    """

    library: Library
    public: Mapping[str, str] = field(default_factory=dict[str, str])

    def spell(self, expression: str, file: SourceFile, local: Sequence[str] = ()) -> Spelled:
        """Translate an expression of `file`; the names in `local` are left as they are."""
        translator = _Translator(self, file, frozenset(local))
        node = cst.parse_expression(expression).visit(translator)
        assert isinstance(node, cst.BaseExpression)
        return Spelled(code_of(node), frozenset(translator.imports))

    def name(self, qualified: str) -> Spelled:
        """Example: "torch.nn.modules.linear.Linear" -> "nn.Linear"."""
        module, _, name = qualified.rpartition(".")
        if not module:
            return Spelled(name)
        if qualified in self.public:
            return Spelled(f"nn.{self.public[qualified]}", frozenset({_NN}))
        if qualified in _OURS:
            return Spelled(f"functional.{_OURS[qualified]}", frozenset({_OUR_FUNCTIONS}))
        if module == "torch.nn.functional":
            return Spelled(f"F.{name}", frozenset({_FUNCTIONAL}))
        if qualified == "torch.Tensor" or module != "torch":
            return Spelled(name, frozenset({ImportPlan(module, name)}))
        return Spelled(qualified, frozenset({ImportPlan("torch")}))


class _Translator(cst.CSTTransformer):
    def __init__(self, speller: Speller, file: SourceFile, local: frozenset[str]) -> None:
        super().__init__()
        self.speller, self.file, self.local = speller, file, local
        self.imports: set[ImportPlan] = set()

    @override
    def visit_Attribute(self, node: cst.Attribute) -> bool:
        """A dotted name is translated as a whole."""
        return text_of(node) is None

    @override
    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """Example: `torch.Tensor` -> `Tensor`; of `f(x).attr` only `f(x)` is looked at."""
        dotted = text_of(original_node)
        return updated_node if dotted is None else self._translated(dotted, updated_node)

    @override
    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """Example: `Module` -> `nn.Module`."""
        return self._translated(original_node.value, updated_node)

    @override
    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        """The name of a keyword argument is no name of the file."""
        return updated_node.with_changes(keyword=original_node.keyword)

    @override
    def visit_Subscript(self, node: cst.Subscript) -> bool:
        """What stands in `Literal[...]` is no type; a generic alias is expanded as a whole."""
        return not self._is_literal(node) and self._generic_alias(node) is None

    @override
    def leave_Subscript(
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        """Example: `_scalar_or_tuple_2_t[int]` -> `int | tuple[int, int]`."""
        if self._is_literal(original_node):
            self.imports.add(ImportPlan("typing", "Literal"))
            return original_node
        alias = self._generic_alias(original_node)
        if alias is None:
            return updated_node
        index = cst.ensure_type(original_node.slice[0].slice, cst.Index).value
        expression, file = alias
        filled = cst.parse_expression(expression).visit(_Filled("T", index))
        assert isinstance(filled, cst.BaseExpression)
        return _none_last(self._spelled(code_of(filled), file))

    @override
    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """A class named in quotes, because it stands further down in torch's file."""
        text = str(original_node.evaluated_value)
        if text not in self.file.classes:
            return updated_node
        return self._spelled(text, self.file)

    def _is_literal(self, node: cst.Subscript) -> bool:
        return self.file.qualified(text_of(node.value) or "") == "typing.Literal"

    def _generic_alias(self, node: cst.Subscript) -> tuple[str, SourceFile] | None:
        qualified = self.file.qualified(text_of(node.value) or "")
        return self.speller.library.alias(qualified)

    def _translated(self, dotted: str, node: cst.BaseExpression) -> cst.BaseExpression:
        if dotted.partition(".")[0] in self.local or hasattr(builtins, dotted):
            return node
        qualified = self.file.qualified(dotted)
        alias = self.speller.library.alias(qualified)
        if alias is not None and qualified.rpartition(".")[2].startswith("_"):
            return self._spelled(*alias)
        found = self.speller.library.find(qualified)
        spelled = self.speller.name(found.qualified_name if found else qualified)
        return self._used(spelled)

    def _spelled(self, expression: str, file: SourceFile) -> cst.BaseExpression:
        return self._used(self.speller.spell(expression, file, tuple(self.local)))

    def _used(self, spelled: Spelled) -> cst.BaseExpression:
        self.imports |= spelled.imports
        return cst.parse_expression(spelled.text)


def _none_last(node: cst.BaseExpression) -> cst.BaseExpression:
    """Example: `int | None | tuple[int, int]` -> `int | tuple[int, int] | None`."""
    parts = _parts(node)
    others = [part for part in parts if text_of(part) != "None"]
    kept = others if len(others) == len(parts) else [*others, cst.Name("None")]
    return cst.parse_expression(" | ".join(code_of(part) for part in kept))


def _parts(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """The members of a union."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
        return [*_parts(node.left), *_parts(node.right)]
    return [node]


class _Filled(cst.CSTTransformer):
    """Puts a type in the place of a type variable.

    Example: `T | tuple[T, T]` -> `int | tuple[int, int]`
    """

    def __init__(self, variable: str, value: cst.BaseExpression) -> None:
        super().__init__()
        self.variable, self.value = variable, value

    @override
    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """A name is the variable or stays."""
        return self.value if original_node.value == self.variable else updated_node

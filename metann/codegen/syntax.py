"""Small helpers over libcst trees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst
from typing_extensions import override

_NO_MODULE = cst.Module(body=[])
_NOTHING = cst.SimpleWhitespace("")
_TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_SPACE = cst.SimpleWhitespace(" ")


def code_of(node: cst.CSTNode) -> str:
    """The text of a node on one line, however many it takes in the file.

    Example: the call `f(` / `    a,` / `)` -> "f(a)"
    """
    return _NO_MODULE.code_for_node(OneLine.flatten(node))


def text_of(node: cst.CSTNode) -> str | None:
    """The dotted name a node spells, or None.

    Example: `torch.nn.Module` -> "torch.nn.Module"; `f(x).shape` -> None
    """
    if isinstance(node, cst.Name):
        return node.value
    base = text_of(node.value) if isinstance(node, cst.Attribute) else None
    return f"{base}.{node.attr.value}" if isinstance(node, cst.Attribute) and base else None


def statements_of(body: Sequence[cst.CSTNode]) -> Iterator[cst.CSTNode]:
    """The statements of a block, `a; b` and what stands under `if TYPE_CHECKING:` included."""
    for line in body:
        if isinstance(line, cst.SimpleStatementLine):
            yield from line.body
        elif isinstance(line, cst.If) and text_of(line.test) in _TYPE_CHECKING:
            yield from statements_of(line.body.body)
        else:
            yield line


class OneLine(cst.CSTTransformer):
    """Takes line breaks and comments out of an expression, and the commas that ended its lines."""

    @classmethod
    def flatten(cls, node: cst.CSTNode) -> cst.CSTNode:
        """Example: `f(` / `    a,` / `)` -> `f(a)`."""
        flat = node.visit(cls())
        assert isinstance(flat, cst.CSTNode)
        return flat

    @override
    def leave_ParenthesizedWhitespace(
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.BaseParenthesizableWhitespace:
        """A line break inside brackets becomes a space: `and` and `or` need one."""
        del original_node, updated_node
        return _SPACE

    @override
    def leave_Comma(self, original_node: cst.Comma, updated_node: cst.Comma) -> cst.Comma:
        """One space after each comma."""
        del original_node
        return updated_node.with_changes(whitespace_after=_SPACE)

    @override
    def leave_LeftParen(
        self, original_node: cst.LeftParen, updated_node: cst.LeftParen
    ) -> cst.LeftParen:
        """No space after `(`."""
        del original_node
        return updated_node.with_changes(whitespace_after=_NOTHING)

    @override
    def leave_RightParen(
        self, original_node: cst.RightParen, updated_node: cst.RightParen
    ) -> cst.RightParen:
        """No space before `)`."""
        del original_node
        return updated_node.with_changes(whitespace_before=_NOTHING)

    @override
    def leave_Tuple(self, original_node: cst.Tuple, updated_node: cst.Tuple) -> cst.Tuple:
        """No space after the comma that a tuple of one needs; no such comma in longer ones."""
        del original_node
        if not updated_node.elements:
            return updated_node
        *others, last = updated_node.elements
        comma = cst.Comma() if not others else cst.MaybeSentinel.DEFAULT
        return updated_node.with_changes(elements=[*others, last.with_changes(comma=comma)])

    @override
    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        """No space inside the brackets of a call, and no comma after its last argument."""
        del original_node
        if not updated_node.args:
            return updated_node
        *others, last = updated_node.args
        bare = last.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=_NOTHING)
        return updated_node.with_changes(args=[*others, bare], whitespace_before_args=_NOTHING)

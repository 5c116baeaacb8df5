"""Makes the changes in the tree; everything else stays as it is, down to the last space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import libcst as cst
from typing_extensions import override

from metann.codegen.model import ImportPlan
from metann.codegen.rewriting.changes import Changes
from metann.codegen.rewriting.statements import Line, Statement, with_imports, without_gone

_SEPARATOR = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


class Transformer(cst.CSTTransformer):
    """Replaces names, adds bases, and mends imports."""

    def __init__(self, changes: Changes, imports: Iterable[ImportPlan]) -> None:
        super().__init__()
        self._changes = changes
        self._imports = tuple(imports)

    @override
    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode]:
        """Put the new name, in the brackets that the old one had."""
        new = self._changes.new.get(original_node)
        if new is not None and isinstance(original_node, cst.Name | cst.Attribute):
            return cst.Name(new, lpar=original_node.lpar, rpar=original_node.rpar)
        if new is not None:
            return updated_node.with_changes(value=new)  # A string or a comment.
        return super().on_leave(original_node, updated_node)

    @override
    def leave_ClassDef(
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        """Add the bases that a class needs behind the last one that is a module."""
        last, added = self._changes.added.get(original_node, (0, ()))
        bases = list(updated_node.bases)
        separator = bases[last - 1].comma if last else _SEPARATOR
        for name in reversed(added):
            before = bases[last]
            bases[last] = before.with_changes(comma=separator)
            bases.insert(last + 1, cst.Arg(cst.Name(name), comma=before.comma))
        return updated_node.with_changes(bases=bases)

    @override
    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import:
        """Leave out the names that are no longer used."""
        kept = self._changes.imports.get(original_node)
        return updated_node.with_changes(names=_mended(original_node.names, kept))

    @override
    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom:
        """Leave out the names that are no longer used, and say where a relative import leads."""
        module = self._changes.absolute.get(original_node)
        if module is not None:
            path = cst.parse_expression(module)
            updated_node = updated_node.with_changes(relative=(), module=path)
        if isinstance(original_node.names, cst.ImportStar):
            return updated_node
        kept = self._changes.imports.get(original_node)
        return updated_node.with_changes(names=_mended(original_node.names, kept))

    @override
    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine:
        """Take out the imports of a line of which nothing is left, if other statements are."""
        pairs = zip(original_node.body, updated_node.body, strict=True)
        kept = [new for old, new in pairs if not self._is_gone(old)]
        return updated_node.with_changes(body=kept) if kept else updated_node

    @override
    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """Take out the lines of which nothing is left."""
        lines = self._lines(original_node.body, updated_node.body)
        return updated_node.with_changes(body=without_gone(lines))

    @override
    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Put the new imports in, and take out the lines of which nothing is left."""
        lines = self._lines(original_node.body, updated_node.body)
        body = without_gone(with_imports(lines, self._imports))
        return updated_node.with_changes(body=body)

    def _lines(self, before: Sequence[Statement], after: Sequence[Statement]) -> list[Line]:
        pairs = zip(before, after, strict=True)
        return [Line(new, is_gone=self._is_line_gone(old)) for old, new in pairs]

    def _is_gone(self, node: cst.CSTNode) -> bool:
        return isinstance(node, cst.Import | cst.ImportFrom) and (
            self._changes.imports.get(node) == ()
        )

    def _is_line_gone(self, line: Statement) -> bool:
        return isinstance(line, cst.SimpleStatementLine) and all(map(self._is_gone, line.body))


def _mended(
    before: Sequence[cst.ImportAlias], kept: Sequence[cst.ImportAlias] | None
) -> Sequence[cst.ImportAlias]:
    """The names that are kept; after the last of them comes what came after the last one."""
    if not kept or kept[-1] is before[-1]:
        return kept or before  # Those of which nothing is kept are about to be taken out.
    mine, last = kept[-1].comma, before[-1].comma
    if isinstance(mine, cst.Comma) and isinstance(last, cst.Comma):
        own, end = mine.whitespace_after, last.whitespace_after
        if isinstance(own, cst.ParenthesizedWhitespace) and own.first_line.comment:
            # What is said about the name stays with it; only the indentation is the last one's.
            line = getattr(end, "last_line", own.last_line)
            last = mine.with_changes(whitespace_after=own.with_changes(last_line=line))
    return [*kept[:-1], kept[-1].with_changes(comma=last)]

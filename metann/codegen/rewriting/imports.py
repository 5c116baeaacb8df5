"""Which imports a rewritten file no longer needs, and which become absolute."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ImportAssignment

from metann.codegen.errors import CodegenError
from metann.codegen.rewriting.changes import Changes, ImportNode
from metann.codegen.rewriting.names import Names
from metann.codegen.rewriting.strings import mentioned


def drop_unused(changes: Changes, names: Names) -> None:
    """Drop the imports whose every use was replaced; those that were unused before stay.

    An import with a comment stays, too: somebody had something to say about it.
    """
    if names.file.is_package:
        return  # All it imports may be what others import from it.
    read, dropped = mentioned(names), changes.dropped
    for node, uses in _uses(names).items():
        kept = [item for item in _aliases(node) if not _is_unused(item, uses, dropped, read)]
        if len(kept) == len(_aliases(node)) or _has_comment(node, names):
            continue
        if kept or _may_go(node, names, changes):
            changes.imports[node] = tuple(kept)


def make_absolute(changes: Changes, names: Names) -> None:
    """Relative imports say where they lead, so that the file can be anywhere.

    Raises:
        CodegenError: one leads out of the package.
    """
    for node in names.all(cst.ImportFrom):
        if node.relative:
            changes.absolute[node] = _absolute(node, names)


def _absolute(node: cst.ImportFrom, names: Names) -> str:
    code = names.module.code_for_node
    written = "".join(map(code, node.relative)) + (code(node.module) if node.module else "")
    module = names.absolute(written)
    if len(node.relative) >= len(names.file.module.split(".")) + names.file.is_package:
        raise CodegenError(
            f"Asked to rewrite {names.file.module}, but `from {written} import` in line "
            f"{names.line(node)} leads out of its package. Give it as `package.module`, or write "
            "the new file into the same folder."
        )
    return module


def _uses(names: Names) -> dict[ImportNode, dict[str, list[cst.Name]]]:
    """For each import the places where each of its names stands."""
    found: dict[ImportNode, dict[str, list[cst.Name]]] = {}
    for name in names.variables:
        for binding in names.bindings(name):
            if isinstance(binding, ImportAssignment):
                node = binding.node
                assert isinstance(node, cst.Import | cst.ImportFrom)
                found.setdefault(node, {}).setdefault(name.value, []).append(name)
    return found


def _aliases(node: ImportNode) -> Sequence[cst.ImportAlias]:
    return () if isinstance(node.names, cst.ImportStar) else node.names


def _is_unused(
    alias: cst.ImportAlias,
    uses: dict[str, list[cst.Name]],
    dropped: frozenset[cst.Name],
    read: frozenset[str],
) -> bool:
    """Whether the name was used before, and is nowhere used now."""
    name = alias.evaluated_alias or alias.evaluated_name.partition(".")[0]
    if alias.evaluated_alias == alias.evaluated_name or name in read:
        return False  # `import X as X` is a re-export.
    mine = uses.get(name, [])
    is_dropped = bool(mine) and all(use in dropped for use in mine)
    return is_dropped and not m.findall(alias, m.Comment())


def _has_comment(node: ImportNode, names: Names) -> bool:
    """Whether a comment belongs to the whole statement."""
    line = names.parent(node)
    brackets = [getattr(node, "lpar", None), getattr(node, "rpar", None)]
    if any(bracket is not None and m.findall(bracket, m.Comment()) for bracket in brackets):
        return True
    return (
        isinstance(line, cst.SimpleStatementLine) and line.trailing_whitespace.comment is not None
    )


def _may_go(node: ImportNode, names: Names, changes: Changes) -> bool:
    """Whether the block around still has a statement without it."""
    line = names.parent(node)
    block = None if line is None else names.parent(line)
    if isinstance(block, cst.Module):
        return True
    if not isinstance(block, cst.IndentedBlock):
        return False
    return any(not _goes(item, node, changes) for item in block.body)


def _goes(line: cst.BaseStatement, node: ImportNode, changes: Changes) -> bool:
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    return all(item is node or changes.imports.get(item) == () for item in line.body)  # type: ignore[call-overload]

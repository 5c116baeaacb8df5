"""A file's text -> the text of its dependent version."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from metann.codegen.errors import CodegenError
from metann.codegen.library import Library
from metann.codegen.model import Note
from metann.codegen.plan import layer_planner
from metann.codegen.rewriting.changes import (
    Changes,
    change_bases,
    change_mangled,
    change_names,
    change_uses,
)
from metann.codegen.rewriting.classes import Classes
from metann.codegen.rewriting.imports import drop_unused, make_absolute
from metann.codegen.rewriting.names import Names
from metann.codegen.rewriting.remarks import remarks
from metann.codegen.rewriting.renaming import plan_renaming
from metann.codegen.rewriting.spelling import Spelling
from metann.codegen.rewriting.strings import change_strings
from metann.codegen.rewriting.transformer import Transformer
from metann.codegen.source import SourceFile

_MARK = "\ufeff"


@dataclass(frozen=True)
class Rewritten:
    """The text of a dependent version of a file, and what its user has to know about it."""

    text: str
    notes: tuple[Note, ...] = ()


def rewrite(
    text: str, file: SourceFile, library: Library, *, keep_relative_imports: bool
) -> Rewritten:
    """Make the modules of a file dependent, and leave all else of its text alone.

    Args:
        text: the file, with its own line endings.
        file: what was read of it.
        library: torch's files, and those the file takes its bases from.
        keep_relative_imports: the text is for a file in the same folder; else they become absolute.

    Raises:
        CodegenError: the text is no Python, or a new name is taken.

    Example: `class Net(nn.Module)` with `nn.Linear(3, 4)` in it -> `class
    DependentNet(DependentModule)` with `DependentLinear(3, 4)`
    """
    tree = _parse(text, file)
    names = Names(tree, file, library)
    classes = Classes(names, layer_planner(library))
    layers = tuple(classes.layers())
    renaming = plan_renaming(names, layers)
    spelling = Spelling(names, names.bound | frozenset(renaming.new.values()))
    changes = Changes(notes=list(renaming.notes))
    change_names(changes, names, renaming)
    change_mangled(changes, names, layers)
    change_strings(changes, names, renaming)
    change_bases(changes, layers, spelling)
    nodes = frozenset(layer.node for layer in layers)
    change_uses(changes, names, nodes, classes.planner.written, spelling)
    drop_unused(changes, names)
    if not keep_relative_imports:
        make_absolute(changes, names)
    changes.notes += remarks(changes, names, classes, layers)
    if not changes.new:
        changes.notes.append(_nothing_done(file))
    changed = names.module.visit(Transformer(changes, spelling.to_import()))
    return Rewritten(_as_written(changed.code, tree.code, text, file), tuple(changes.notes))


def _parse(text: str, file: SourceFile) -> cst.Module:
    try:
        tree = cst.parse_module(text)
    except cst.ParserSyntaxError as error:
        raise CodegenError(
            f"Asked to rewrite {file.module}, but line {error.raw_line} is no Python: "
            f"{error.message.splitlines()[0]}."
        ) from error
    return tree


def _as_written(new: str, kept: str, text: str, file: SourceFile) -> str:
    """The new text with what libcst leaves out: a byte order mark, some last empty lines."""
    mark = text[: text.startswith(_MARK)]
    text = text[len(mark) :]
    differs = (n for n, (a, b) in enumerate(zip(kept, text, strict=False)) if a != b)
    same = next(differs, min(len(kept), len(text)))
    if not new.endswith(kept[same:]):
        raise CodegenError(
            f"Asked to rewrite {file.module}, but libcst cannot keep its line breaks. Give all "
            "lines the same ending, and run the command again."
        )
    return mark + new[: len(new) - len(kept[same:])] + text[same:]


def _nothing_done(file: SourceFile) -> Note:
    why = "none of its classes derives from torch.nn.Module, and it makes no layer of torch"
    return Note(f"{file.module} stays as it is", why)

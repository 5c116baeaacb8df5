"""One file to be written: from the user's module to the text, with its header and digest."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from metann.codegen.errors import CodegenError
from metann.codegen.format import format_text
from metann.codegen.library import Library
from metann.codegen.model import Note
from metann.codegen.render import render_user_file
from metann.codegen.rewriting import rewrite
from metann.codegen.user_model import UserFilePlan
from metann.codegen.users.choose import choose
from metann.codegen.users.outputs import Job
from metann.codegen.users.plan import plan_user
from metann.codegen.users.reading import UserSource, read_user
from metann.codegen.users.seal import MARK, is_ours, is_same, seal
from metann.codegen.users.texts import is_readable, read_text
from metann.codegen.write import FileChange

# PEP 263: such a comment counts in the first two lines only.
_CODING = re.compile(r"#.*coding[:=]")


@dataclass(frozen=True)
class Made:
    """The text of a file, how many classes of the user's it is about, and what they must know."""

    text: str
    classes: int
    notes: tuple[Note, ...] = ()


def make(job: Job, torch: Library, *, rewriting: bool = False) -> Made:
    """Make the text of a file; what cannot be made is an error."""
    text = read_text(job.target.path)
    if is_ours(text):
        raise CodegenError(
            f"Asked for the modules in {job.target.given}, but metann-generate wrote that file "
            "itself. Leave it out, or name the file that it was made from."
        )
    source = read_user(job.target, torch)
    made = _rewrite(job, source, text) if rewriting else _counterparts(job, source)
    return replace(made, text=seal(made.text), notes=(*job.target.notes, *made.notes))


def compare(job: Job, before: str | None, made: Made) -> FileChange:
    """What would happen to a file; nothing if it says the same in another layout."""
    path = Path("-") if job.path is None else job.path
    if before is None:
        return FileChange(path, None, made.text)
    after = made.text
    if "\r\n" in before:  # As the user's version control, or editor, has it.
        after = after.replace("\r\n", "\n").replace("\n", "\r\n")
    return FileChange(path, before, before if is_same(before, after) else after)


def read_before(job: Job) -> str | None:
    """The file as it is; one that is not ours to overwrite is an error."""
    if job.path is None or not job.path.exists():
        return None
    try:
        text = job.path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise CodegenError(
            f"Asked to write {job.path}, but what is there cannot be read: {error.strerror}. "
            "Choose another file, or move this one away."
        ) from error
    if not is_ours(text):
        raise CodegenError(
            f"Asked to write the counterparts of {job.target.module} to {job.path}, but that was "
            "not written by metann-generate. Choose another file, or move this one away."
        )
    return text


def _counterparts(job: Job, source: UserSource) -> Made:
    if not job.target.is_importable:
        raise CodegenError(
            f"Asked for the modules in {job.target.given}, but no file can import it: "
            f"{job.target.module} is no name of a module. Rename the file, as in my_nets.py."
        )
    plan = plan_user(source, job.target, job.command)
    _refuse_clashes(plan, source)
    return Made(format_text(render_user_file(plan)), len(plan.layers), plan.notes)


def _refuse_clashes(plan: UserFilePlan, source: UserSource) -> None:
    """Raise an error if a counterpart has the name of one of the user's own classes."""
    for layer in plan.layers:
        if layer.name in source.file.classes:
            raise CodegenError(
                f"Asked for the modules in {plan.source}, but the counterpart of {layer.original} "
                f"is called {layer.name}, and so is a class there. Rename that class, or name "
                f"those you want counterparts of: `{plan.source}:Class`."
            )


def _rewrite(job: Job, source: UserSource, text: str) -> Made:
    if job.target.names:
        raise CodegenError(
            f"Asked to rewrite {', '.join(job.target.names)} of {job.target.given}, but a file is "
            f"rewritten as a whole. Give {job.target.given} alone."
        )
    if not is_readable(text):
        raise CodegenError(
            f"Asked to rewrite {job.target.given}, but it declares another encoding than UTF-8, "
            "which is what is written. Save it as UTF-8, and take the declaration out."
        )
    layers = source.layers() or choose(source, job.target)
    beside = job.path is not None and _is_beside(job.path, job.target.path)
    done = rewrite(text, source.file, source.library, keep_relative_imports=beside)
    return Made(_with_header(job, done.text), len(layers), done.notes)


def _is_beside(path: Path, other: Path) -> bool:
    return path.parent.resolve() == other.parent.resolve()


def _with_header(job: Job, text: str) -> str:
    """A rewritten text below the lines that say where it comes from, but not above a `#!` line."""
    lines = text.lstrip("\ufeff").splitlines(keepends=True)
    start = 1 if lines and lines[0].startswith("#!") else 0
    while start < min(len(lines), 2) and _CODING.match(lines[start]):
        start += 1
    module = job.target.module
    header = [
        f"{MARK} from {module}",
        f"# with --rewrite. Do not edit: change {module}, then run",
        f"# `{job.command}`.",
        "",
    ]
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    return "".join([*lines[:start], *(line + end for line in header), *lines[start:]])

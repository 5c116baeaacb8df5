"""Docstrings as they are written in this repository, for Sphinx.

What stands in single backticks is code; the name of something that has an entry is a link to it.
A star or a bar is a star or a bar, and the words before a colon that begin a paragraph are bold.
"""

from __future__ import annotations

import re

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

NAME = re.compile(r"[A-Za-z_][\w.]*(\(\))?")
CODE = re.compile(r"(`+[^`]+`+)")
ARGUMENT = re.compile(r"^\s*\*{1,2}\w+:")
LABEL = re.compile(r"^(\s*)(Source|Shape|Example): ")


def name_role(
    role: str,  # noqa: ARG001
    rawtext: str,
    text: str,  # noqa: ARG001
    line: int,  # noqa: ARG001
    inliner: Inliner,
    options: object = None,  # noqa: ARG001
    content: object = None,  # noqa: ARG001
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """What single backticks mean: code, and a link where there is something of that name."""
    shown = rawtext.strip("`")
    code = nodes.literal(rawtext, shown, classes=["code"])
    if not NAME.fullmatch(shown):
        return [code], []
    environment = inliner.document.settings.env
    link = pending_xref(
        rawtext,
        code,
        refdomain="py",
        reftype="obj",
        reftarget=shown.removesuffix("()"),
        refspecific=True,
        refexplicit=True,
        refdoc=environment.docname,
        may_be_missing=True,
        **{
            key: environment.ref_context[key]
            for key in ("py:module", "py:class")
            if key in environment.ref_context
        },
    )
    return [link], []


def plain_characters(
    app: Sphinx,  # noqa: ARG001
    what: str,  # noqa: ARG001
    name: str,  # noqa: ARG001
    thing: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    lines: list[str],
) -> None:
    """Escape what reStructuredText would take for markup, outside of code and of examples."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else plain(line) for line in lines]


def plain(line: str) -> str:
    """Example: "(T, *shape)" -> "(T, \\*shape)"."""
    pieces = CODE.split(line)
    kept = len(found.group()) if (found := ARGUMENT.match(pieces[0])) else 0
    escaped = [re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", piece) for piece in pieces[::2]]
    if kept:
        escaped[0] = pieces[0][:kept] + re.sub(r"([*|])", r"\\\1", pieces[0][kept:])
    pieces[::2] = escaped
    return LABEL.sub(r"\1**\2:** ", "".join(pieces))


def unlinked(
    app: Sphinx,  # noqa: ARG001
    env: object,  # noqa: ARG001
    node: pending_xref,
    content: nodes.TextElement,
) -> nodes.TextElement | None:
    """Code that names nothing that has an entry stays code."""
    return content if node.get("may_be_missing") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_role("name", name_role)
    app.config.default_role = "name"
    # Before napoleon, whose markup is meant; and after the names of torch have been looked up.
    app.connect("autodoc-process-docstring", plain_characters, priority=400)
    app.connect("missing-reference", unlinked, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

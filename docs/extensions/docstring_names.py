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
from sphinx.environment import BuildEnvironment

NAME = re.compile(r"[A-Za-z_][\w.]*(\(\))?")
# Code in backticks, and examples up to the next empty line.
CODE = re.compile(r"(`+[^`]+`+|^ *>>>.*(?:\n.*\S.*)*)", flags=re.MULTILINE)
ARGUMENT = re.compile(r"^ *\*{1,2}\w+:", flags=re.MULTILINE)
LABEL = re.compile(r"^( *)(Source|Shape|Example): ", flags=re.MULTILINE)
COUNTERPART = re.compile(r"(Counterpart of )([\w.]+)\.\s+(https://\S+)")


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
    what: str,
    name: str,  # noqa: ARG001
    thing: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    lines: list[str],
) -> None:
    """Escape what reStructuredText would take for markup, outside of code and of examples."""
    pieces = CODE.split("\n".join(lines))
    pieces[::2] = [escaped(piece) for piece in pieces[::2]]
    # What follows code at once, as in "`Parameter`s", must be held apart from it.
    pieces[2::2] = [re.sub(r"^(?=\w)", r"\\ ", piece) for piece in pieces[2::2]]
    text = "".join(pieces)
    text = COUNTERPART.sub(r"\1`\2 <\3>`__.", LABEL.sub(r"\1**\2:** ", text))
    lines[:] = text.split("\n")
    if what in {"attribute", "property", "data"}:
        # In the first line, napoleon would take the words before a colon for a type.
        lines[:0] = ["..", ""]


def escaped(text: str) -> str:
    """Example: "(T, *shape)" -> "(T, \\*shape)"; the stars of an argument `**kwargs:` stay."""
    if found := ARGUMENT.search(text):
        before, after = text[: found.start()], text[found.end() :]
        return escaped(before) + found.group() + escaped(after)
    return re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", text)


def resolved(
    app: Sphinx,
    env: BuildEnvironment,
    node: pending_xref,
    content: nodes.TextElement,
) -> nodes.Element | None:
    """A link from the short name of an entry, such as `Learner.bind`; else code stays code."""
    if not node.get("may_be_missing"):
        return None
    name = node["reftarget"]
    if name[0].isupper() or "." in name:
        domain = env.domains.python_domain
        found = {key for key in domain.objects if key.endswith(f".{name}")}
        if len(found) == 1:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", found.pop(), node, content
            )
    return content


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_role("name", name_role)
    app.config.default_role = "name"
    # Before napoleon, whose markup is meant; and after the names of torch have been looked up.
    app.connect("autodoc-process-docstring", plain_characters, priority=400)
    app.connect("missing-reference", resolved, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

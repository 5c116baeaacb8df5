"""A link from a page to a file of the repository leads to a page that shows the file.

So `[text](../metann/learner.py)` works where the repository is read and on the site, which needs
no address of the repository. A link to a folder shows its README.md.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
FOLDER = "repository"


class FileLinks(SphinxTransform):
    """Turns links to files outside of docs/ into links to the pages that show them."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:  # noqa: ARG002
        """Change the links of one page, and note which files it needs."""
        here = self.env.docname
        shown = self.env.metadata[here].setdefault("repository_files", [])
        for node in list(self.document.findall(is_a_path)):
            path = shown_path(Path(self.env.doc2path(here)).parent / target_of(node))
            if path is None:
                continue
            shown.append(path)
            address = self.app.builder.get_relative_uri(here, page_name(path))
            link = nodes.reference("", "", internal=True, refuri=address)
            link += node.children
            node.replace_self(link)


def is_a_path(node: nodes.Node) -> bool:
    """Whether it is a link of a page that was written as a path."""
    links = isinstance(node, (pending_xref, download_reference))
    return links and node.get("reftype") == "myst"


def target_of(node: nodes.Element) -> str:
    """The path that was written: myst takes every Markdown file for a page, without its suffix."""
    return node["reftarget"] + (".md" if node.get("refdomain") == "doc" else "")


def shown_path(path: Path) -> str | None:
    """The file to show for a path, from the root of the repository; None for pages and nothing."""
    path = path.resolve()
    if path.is_dir():
        path /= "README.md"
    is_a_page = path.is_relative_to(DOCS) and path.name != "README.md"
    if is_a_page or not path.is_file() or not path.is_relative_to(REPOSITORY):
        return None
    return path.relative_to(REPOSITORY).as_posix()


def page_name(path: str) -> str:
    """Where the page of a file stands."""
    return f"{FOLDER}/{path}"


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file that is linked to."""
    noted = (data.get("repository_files", []) for data in app.env.metadata.values())
    for path in sorted({path for paths in noted for path in paths}):
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        body = highlight(text, lexer_for(path), HtmlFormatter())
        heading = f"<h1><code>{html.escape(path)}</code></h1>"
        context = {"title": path, "body": f"{heading}\n{body}", "parents": []}
        yield page_name(path), context, "page.html"


def lexer_for(path: str) -> Lexer:
    """How to colour a file."""
    name = PurePosixPath(path).name.removesuffix(".jinja")
    try:
        return get_lexer_for_filename(name)
    except ClassNotFound:
        return TextLexer()


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_transform(FileLinks)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

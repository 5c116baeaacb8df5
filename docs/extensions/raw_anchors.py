"""`<a id="note-1"></a>`, as other viewers of Markdown need it, is a target for links here, too."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ANCHOR = re.compile(r'<a id="([^"]+)">')


class RawAnchors(SphinxTransform):
    """Turns such pieces of HTML into targets."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:  # noqa: ARG002
        """Change them on one page."""
        for node in list(self.document.findall(nodes.raw)):
            if found := ANCHOR.fullmatch(node.astext()):
                target = nodes.target("", "", ids=[found[1]], names=[found[1]])
                self.document.note_explicit_target(target)
                node.replace_self(target)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_transform(RawAnchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

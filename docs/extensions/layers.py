"""The directive `layers`: the entries of all counterparts in some generated files.

A class that a new torch brings has its entry without a change to any page.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from metann.generated._table import FILES


class Layers(SphinxDirective):
    """Its arguments are the names of files in generated/."""

    required_arguments = 1
    optional_arguments = 100

    def run(self) -> list[nodes.Node]:
        """An entry for each class, file by file, in alphabetical order."""
        missing = set(self.arguments) - set(FILES.values())
        if missing:
            raise self.error(f"generated/ has no file {', '.join(sorted(missing))}.py")
        entries = [
            f".. autoclass:: metann.generated.{name}\n"
            for file in self.arguments
            for name, home in sorted(FILES.items())
            if home == file
        ]
        return self.parse_text_to_nodes("\n".join(entries))


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("layers", Layers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

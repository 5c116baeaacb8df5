"""Directives for many entries at once, so that a new class needs no change to a page.

`layers` lists all counterparts in some files of generated/, `names` all that a package offers.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType

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


class Names(SphinxDirective):
    """Its argument is a package or a module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """An entry for each class and function that is meant to be imported from there."""
        (package,) = self.arguments
        offered = offered_by(import_module(package))
        entries = [
            f".. auto{sort_of(thing)}:: {package}.{name}\n" for name, thing in offered.items()
        ]
        return self.parse_text_to_nodes("\n".join(entries))


def sort_of(thing: object) -> str:
    """What autodoc calls it."""
    if not isinstance(thing, type):
        return "function"
    return "exception" if issubclass(thing, Exception) else "class"


def offered_by(package: ModuleType) -> dict[str, object]:
    """The classes and functions of a package that are metann's own, in alphabetical order."""
    listed = getattr(package, "__all__", None) or vars(package)
    home = ".".join(package.__name__.split(".")[:3])
    named = {name: getattr(package, name) for name in sorted(listed) if name[0] != "_"}
    return {
        name: thing
        for name, thing in named.items()
        if (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__.startswith(home)
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("layers", Layers)
    app.add_directive("names", Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

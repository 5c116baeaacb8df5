"""Types as the source has them: `Hyper | None`, not the six types that `Hyper` stands for.

And the arguments of a counterpart are those of its constructor: `DependentModule`, which also
converts, takes any.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import stringify_annotation

from metann import DependentModule

Written: TypeAlias = "dict[str, dict[str, str]]"


def note(
    app: Sphinx,
    what: str,  # noqa: ARG001
    name: str,
    thing: Callable[..., Any],
    options: object,  # noqa: ARG001
    arguments: str | None,
    result: str | None,
) -> tuple[str | None, str | None]:
    """Keep the annotations of a function, and return its signature."""
    forget_overloads(thing)
    try:
        signature = signature_of(thing)
    except (TypeError, ValueError):
        return arguments, result
    annotations = {key: value.annotation for key, value in signature.parameters.items()}
    annotations["return"] = signature.return_annotation
    written_on(app)[name] = {
        key: (
            in_full(value, thing)
            if isinstance(value, str)
            else stringify_annotation(value, "smart")
        )
        for key, value in annotations.items()
        if value is not inspect.Parameter.empty
    }
    if is_counterpart(thing):
        return stringify_signature(signature, show_annotation=False), None
    return arguments, result


def in_full(written: str, thing: object) -> str:
    """Say of our classes which is meant, as the file does: there may be others of the name.

    Example: "Learner | None" -> "~metann.learner.Learner | None", shown as before.
    """
    names = vars(sys.modules[getattr(thing, "__module__", None) or "builtins"])

    def full(found: re.Match[str]) -> str:
        meant = names.get(found[0])
        is_ours = isinstance(meant, type) and meant.__module__.startswith("metann.")
        return f"~{meant.__module__}.{meant.__qualname__}" if is_ours else found[0]

    return re.sub(r"(?<![\w.])[A-Z]\w*", full, written)


def written_on(app: Sphinx) -> Written:
    """The annotations that were kept for the page which is being read."""
    if "written_types" not in app.env.temp_data:
        app.env.temp_data["written_types"] = {}
    kept: Written = app.env.temp_data["written_types"]
    return kept


def signature_of(thing: Callable[..., Any]) -> inspect.Signature:
    """The arguments of a function, or of the constructor of a class."""
    if not is_counterpart(thing):
        return inspect.signature(thing)
    signature = inspect.signature(thing.__init__)
    _, *parameters = signature.parameters.values()
    return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


def forget_overloads(thing: object) -> None:
    """Let autodoc find one signature, that of the function itself: overloads are for checkers."""
    module = getattr(thing, "__module__", None)
    if module is not None and module.startswith("metann"):
        analyzer = ModuleAnalyzer.for_module(module)
        analyzer.analyze()
        analyzer.overloads.clear()


def is_counterpart(thing: object) -> bool:
    """Whether it is the counterpart of some class."""
    is_one = isinstance(thing, type) and issubclass(thing, DependentModule)
    return is_one and thing is not DependentModule


def use(app: Sphinx, domain: str, objtype: str, content: object) -> None:  # noqa: ARG001
    """Put them in the place of what autodoc has made of them, before it shows that."""
    shown = app.env.current_document.autodoc_annotations
    for name, written in written_on(app).items():
        if name in shown:
            shown[name] = written


def home_of(app: Sphinx, module: str, name: str) -> str | None:  # noqa: ARG001
    """Where the source of a type with a name is; it would be looked for among Python's own."""
    thing = getattr(import_module(module), name, None)
    return module if getattr(thing, "__module__", "").partition(".")[0] != "metann" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("autodoc-process-signature", note)
    app.connect("viewcode-follow-imported", home_of)
    app.connect("object-description-transform", use, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

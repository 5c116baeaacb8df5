"""Types as the source has them: `Hyper | None`, not the six types that `Hyper` stands for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from sphinx.application import Sphinx

Written: TypeAlias = "dict[str, dict[str, str]]"


def note(
    app: Sphinx,
    what: str,  # noqa: ARG001
    name: str,
    thing: Callable[..., Any],
    options: object,  # noqa: ARG001
    arguments: str | None,  # noqa: ARG001
    result: str | None,  # noqa: ARG001
) -> None:
    """Keep the annotations of a function that are still text."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return
    annotations = {key: value.annotation for key, value in signature.parameters.items()}
    annotations["return"] = signature.return_annotation
    kept: Written = app.env.temp_data.setdefault("written_types", {})
    kept[name] = {key: value for key, value in annotations.items() if isinstance(value, str)}


def use(app: Sphinx, domain: str, objtype: str, content: object) -> None:  # noqa: ARG001
    """Put them in the place of what autodoc has made of them, before it shows that."""
    shown: Written = app.env.temp_data.setdefault("annotations", {})
    for name, written in app.env.temp_data.get("written_types", {}).items():
        if name in shown:
            shown[name].update(written)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("autodoc-process-signature", note)
    app.connect("object-description-transform", use, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

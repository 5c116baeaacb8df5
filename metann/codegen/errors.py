"""What the generator raises."""

from __future__ import annotations

from metann.errors import MetannError


class CodegenError(MetannError):
    """The generator was asked for something it cannot do; nothing was written."""


class MissingFactError(CodegenError):
    """torch's source leaves a type open and metann/codegen/facts.py does not give it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"torch's source does not annotate {what}, and no fact does. "
            "Add it to metann/codegen/facts.py, with its reason."
        )

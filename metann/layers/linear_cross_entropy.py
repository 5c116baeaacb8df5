"""What the linear layer with cross entropy needs beside its generated class."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from metann.functional.transforms import is_compiling
from metann.layers.plain_forms import CallsPlainForms


class HasAllDerivatives(CallsPlainForms):
    """Computes the loss in chunks so that the gradient can be differentiated.

    In a trace of torch.compile, which knows no second order, torch's function stays.
    """

    options: Any

    @override
    def _needs_forms(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return self.options is not None and not is_compiling()

"""What torch's parametrizations need beside their generated class."""

from __future__ import annotations

from typing import Any

from torch import nn

from metann.functional.replacing import Replacing
from metann.functional.transforms import plain_form_is_needed


class ParametrizesPlainly(nn.Module):
    """Inside a transform, calls our forms where torch writes into `out=` or has no batching rule.

    Its forward is torch's own.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What torch's own forward returns."""
        parent: Any = super()
        if not plain_form_is_needed():
            return parent.forward(*args, **kwargs)
        with Replacing():
            return parent.forward(*args, **kwargs)

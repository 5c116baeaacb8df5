"""What the linear layer with cross entropy needs beside its generated class."""

from __future__ import annotations

from typing import Any

from torch import nn

from metann.functional.replacing import Replacing
from metann.functional.transforms import is_compiling


class HasAllDerivatives(nn.Module):
    """Computes the loss in chunks so that the gradient can be differentiated.

    Its forward is torch's own, which calls torch's function at its end; `Replacing` puts ours
    there. In a trace of torch.compile, which knows no second order, torch's stays.
    """

    options: Any

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What torch's own forward returns."""
        parent: Any = super()
        if self.options is None or is_compiling():
            return parent.forward(*args, **kwargs)
        with Replacing():
            return parent.forward(*args, **kwargs)

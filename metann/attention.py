"""What the layers of a Transformer need beside their generated class."""

from __future__ import annotations

from typing import Any

from torch import nn

from metann.functional.replacing import Replacing
from metann.functional.transforms import plain_form_is_needed


class AttendsPlainly(nn.Module):
    """Calls none of torch's fused kernels inside a transform; these know of no transforms.

    Their forward is torch's own: it calls the kernels at several places, and asks before most of
    them whether a mode of `torch.overrides` is at work, such as `Replacing`.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What torch's own forward returns."""
        parent: Any = super()
        if not plain_form_is_needed():
            return parent.forward(*args, **kwargs)
        with Replacing():
            return parent.forward(*args, **kwargs)

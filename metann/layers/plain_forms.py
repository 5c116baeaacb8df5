"""Our forms in the place of torch's functions, where a layer's forward is torch's own."""

from __future__ import annotations

from typing import Any

from torch import nn

from metann.functional.replacing import Replacing
from metann.functional.transforms import dual_levels, innermost, plain_form_is_needed


class CallsPlainForms(nn.Module):
    """Calls our forms where torch's functions know of no transform: fused kernels, `out=`.

    The forward is torch's own. It calls them at several places, and torch asks before most of its
    short cuts, such as the fast path of a Transformer, whether a mode like `Replacing` is at work.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What torch's own forward returns."""
        parent: Any = super()
        # `in_any_transform()`, without the call: this is done for every layer of a Transformer.
        is_outside = innermost() is None and dual_levels._current_level < 0
        if is_outside or not self._needs_forms(args, kwargs):
            return parent.forward(*args, **kwargs)
        with Replacing():
            return parent.forward(*args, **kwargs)

    def _needs_forms(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:  # noqa: ARG002
        """Whether torch's functions would fail, or be wrong, in this call inside a transform."""
        return plain_form_is_needed()

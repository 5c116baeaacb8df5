"""What the recurrent layers need beside their generated class."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class FlatWeights(nn.Module):
    """Reads the flat list of weights that torch's kernels take when it is asked for.

    torch keeps a second list of the weights beside the attributes, which goes stale whenever a
    weight is substituted or parametrized (pytorch#65688). Computed from the attributes, it cannot.
    """

    _flat_weights_names: list[str]

    @property
    def _flat_weights(self) -> list[Tensor | None]:
        return [getattr(self, name, None) for name in self._flat_weights_names]

    @_flat_weights.setter
    def _flat_weights(self, weights: Any) -> None:
        """Let torch's own bookkeeping pass: there is nothing to keep."""

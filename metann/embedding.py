"""What the embedding layers need beside their generated class."""

from __future__ import annotations

from torch import Tensor, nn

from metann.slots import slots_of


class Renormalises(nn.Module):
    """Gives torch a weight that it may write into: with `max_norm` it rescales rows in place.

    The tensor of a dependent belongs to the caller, so it is copied, within the graph; torch takes
    the rescaling as a constant, here as there. A parameter is written into, as torch does.
    """

    weight: Tensor
    max_norm: float | None

    @property
    def own_weight(self) -> Tensor:
        """The weight, or a copy of it if torch would write into the caller's tensor."""
        is_given = self.max_norm is not None and "weight" in slots_of(self)
        return self.weight.clone() if is_given else self.weight

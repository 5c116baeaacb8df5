"""What the embedding layers need beside their generated class."""

from __future__ import annotations

from typing import Any

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

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What torch's own forward returns, on `own_weight`.

        For a counterpart that is written on demand; a generated one writes its forward out.
        """
        instance, weight = self, self.own_weight
        if weight is not self.weight:
            # Another instance: this one may be in use by another thread.
            instance = object.__new__(type(self))
            buffers = {**self.__dict__["_buffers"], "weight": weight}
            instance.__dict__.update(self.__dict__, _buffers=buffers)
        parent: Any = super(Renormalises, instance)
        return parent.forward(*args, **kwargs)

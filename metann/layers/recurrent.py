"""What the recurrent layers need beside their generated class."""

from __future__ import annotations

import re
import warnings
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from typing_extensions import override

from metann.functional.transforms import plain_form_is_needed
from metann.layers.plain_forms import CallsPlainForms

_ADVICE = "RNN module weights are not part of single contiguous chunk of memory"


def ignore_advice() -> None:
    """Have Python pass over cuDNN's advice to call `flatten_parameters()`.

    Weights that were given are not in one piece of memory, and cannot be put there: the advice
    is of no use. For the whole process, as other threads may be in a call.
    """
    # As `warnings` keeps it. Adding it again would show other warnings a second time.
    known = ("ignore", re.compile(_ADVICE, re.IGNORECASE), UserWarning, None, 0)
    if known not in warnings.filters:
        warnings.filterwarnings("ignore", _ADVICE, UserWarning)


class FlatWeights(nn.Module):
    """Reads the flat list of weights that torch's kernels take when it is asked for.

    torch keeps a second list of the weights beside the attributes, which goes stale whenever a
    weight is substituted or parametrized (pytorch#65688). Computed from the attributes, it cannot.
    """

    _flat_weights_names: list[str]

    @property
    def _flat_weights(self) -> list[Tensor | None]:
        weights = [getattr(self, name, None) for name in self._flat_weights_names]
        if any(weight is not None and weight.is_cuda for weight in weights[:1]):
            ignore_advice()
        return weights

    @_flat_weights.setter
    def _flat_weights(self, weights: Any) -> None:
        """Let torch's own bookkeeping pass: there is nothing to keep."""


class StepsPlainly(CallsPlainForms):
    """Steps along sequences in plain operations inside a transform; torch has no kernel for it."""

    @override
    def _needs_forms(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """The sizes of packed sequences cannot be read in any transform, reverse mode included."""
        sequences = args[0] if args else kwargs.get("input")
        is_packed = isinstance(sequences, PackedSequence)
        return is_packed or plain_form_is_needed()

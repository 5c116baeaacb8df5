"""The ways to call a recurrent layer, as a module and as a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from transforming import moved

from metann import functional

FEATURES, HIDDEN = 3, 4
KINDS: dict[str, type[nn.RNNBase]] = {
    "rnn_tanh": nn.RNN,
    "rnn_relu": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}


@dataclass(frozen=True)
class Recurring:
    """One kind of layer with its options, and one shape of sequences."""

    kind: str
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    bidirectional: bool = False
    proj_size: int = 0
    dropout: float = 0.0
    lengths: tuple[int, ...] = ()
    """Of packed sequences, the longest first; none where they are padded."""

    def __str__(self) -> str:
        default = Recurring(self.kind)
        changed = {k: v for k, v in vars(self).items() if v != getattr(default, k)}
        return "-".join([self.kind, *(f"{name}={value}" for name, value in changed.items())])

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def layer(self) -> nn.RNNBase:
        """torch's layer with random weights."""
        names = ("num_layers", "bias", "batch_first", "bidirectional", "dropout")
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        if KINDS[self.kind] is nn.RNN:
            options["nonlinearity"] = self.kind.removeprefix("rnn_")
        if self.proj_size:
            options["proj_size"] = self.proj_size
        layer = moved(KINDS[self.kind](FEATURES, HIDDEN, **options))
        assert isinstance(layer, nn.RNNBase)
        return layer

    def padded(self) -> Tensor:
        """Random sequences."""
        number = len(self.lengths) or 2
        return torch.randn(*((number, 3) if self.batch_first else (3, number)), FEATURES)

    def data(self) -> Tensor:
        """Random sequences, packed if they are to be."""
        return torch.randn(sum(self.lengths), FEATURES) if self.lengths else self.padded()

    def state(self) -> tuple[Tensor, ...]:
        """A random first state."""
        number = len(self.lengths) or 2
        sizes = [self.proj_size or HIDDEN, *([HIDDEN] if self.kind == "lstm" else [])]
        return tuple(torch.randn(self.num_layers * self.directions, number, s) for s in sizes)

    def batch_sizes(self) -> Tensor:
        """How many sequences have an entry at each time."""
        sizes = [sum(length > time for length in self.lengths) for time in range(self.lengths[0])]
        return torch.tensor(sizes)

    def call(
        self, function: Callable[..., Any], data: Tensor, state: Any, params: list[Tensor]
    ) -> Any:
        """What a function gives that takes what torch's take."""
        sequences = (data, self.batch_sizes()) if self.lengths else (data,)
        hx = state if self.kind == "lstm" or state is None else state[0]
        ways = () if self.lengths else (self.batch_first,)
        options = (self.bias, self.num_layers, self.dropout, True, self.bidirectional, *ways)
        return function(*sequences, hx, params, *options)

    def ours(self, data: Tensor, state: Any, params: list[Tensor]) -> Any:
        return self.call(getattr(functional, self.kind), data, state, params)

    def torchs(self, data: Tensor, state: Any, params: list[Tensor]) -> Any:
        return self.call(getattr(torch, self.kind), data, state, params)


def _ways() -> Iterator[Recurring]:
    for kind in KINDS:
        simple = Recurring(kind)
        both = replace(simple, num_layers=2, bidirectional=True)
        for way in (simple, replace(simple, batch_first=True), both, replace(both, bias=False)):
            yield way
            if not way.batch_first:
                yield replace(way, lengths=(3, 3, 1))
                yield replace(way, lengths=(3, 2))
        yield replace(simple, num_layers=3)
    projected = Recurring("lstm", proj_size=2)
    for way in (projected, replace(projected, num_layers=2, bidirectional=True)):
        yield way
        yield replace(way, bias=False)
        yield replace(way, lengths=(3, 2, 1))


WAYS = tuple(_ways())
# One of each kind of layer, and one with everything.
FEW = (
    *(Recurring(kind) for kind in KINDS),
    Recurring("gru", num_layers=2, bidirectional=True, bias=False, lengths=(3, 1)),
    Recurring("lstm", num_layers=2, bidirectional=True, proj_size=2, lengths=(3, 2)),
    Recurring("lstm", proj_size=2, bias=False, batch_first=True),
)


class Speaking(nn.Module):
    """A layer that is given padded sequences, and packs them itself."""

    def __init__(self, way: Recurring, is_sorted: bool = True) -> None:
        super().__init__()
        self.way = way
        self.is_sorted = is_sorted
        self.enter = nn.Linear(FEATURES, FEATURES)
        self.layer = way.layer()

    def forward(self, sequences: Tensor) -> Tensor:
        lengths = self.way.lengths if self.is_sorted else self.way.lengths[::-1]
        packed = pack_padded_sequence(
            self.enter(sequences),
            list(lengths),
            batch_first=self.way.batch_first,
            enforce_sorted=self.is_sorted,
        )
        shown, *_ = self.layer(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(
            shown, batch_first=self.way.batch_first, padding_value=0.5, total_length=4
        )
        return padded

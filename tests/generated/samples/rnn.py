"""torch/nn/modules/rnn.py"""

from collections.abc import Iterator

from torch import Tensor, nn

from samples.draw import normal, packed
from samples.sample import Sample, of, on

_SEQUENCE = on(normal(3, 2, 3))


def _weights_times(layer: nn.RNNBase | nn.RNNCellBase, x: Tensor) -> Tensor:
    """Uses every weight of a base class, which has no forward."""
    return x * sum(weight.square().sum() for weight in layer.parameters())


def _listed_weights_times(layer: nn.RNNBase, x: Tensor) -> Tensor:
    """The same by the list that the recurrent layers hand to torch's kernels."""
    return x * sum(weight.square().sum() for weight in layer._flat_weights)


def _recurrent(layer: type[nn.RNNBase]) -> Iterator[Sample]:
    yield Sample(layer, of(3, 2), _SEQUENCE)
    yield Sample(layer, of(3, 2, bias=False), _SEQUENCE)
    yield Sample(layer, of(3, 2, num_layers=2), _SEQUENCE)
    yield Sample(layer, of(3, 2, num_layers=2, dropout=0.5), _SEQUENCE)
    yield Sample(layer, of(3, 2, batch_first=True), _SEQUENCE)
    yield Sample(layer, of(3, 2, bidirectional=True), _SEQUENCE)
    yield Sample(layer, of(3, 2, num_layers=2, bidirectional=True, bias=False), _SEQUENCE)
    yield Sample(layer, of(3, 2), on(normal(4, 3)), note="one sequence")
    yield Sample(layer, of(3, 2), on(packed(3, [3, 2])), note="packed")
    yield Sample(
        layer,
        of(3, 2, bidirectional=True),
        on(packed(3, [1, 3], enforce_sorted=False)),
        note="packed, unsorted",
    )


def _with_state() -> Iterator[Sample]:
    state = normal(1, 2, 2)
    yield Sample(nn.RNN, of(3, 2), on(normal(3, 2, 3), state), note="first state")
    yield Sample(nn.GRU, of(3, 2), on(normal(3, 2, 3), hx=state), note="first state")
    yield Sample(nn.LSTM, of(3, 2), on(normal(3, 2, 3), (state, state)), note="first state")


def _projected() -> Iterator[Sample]:
    for bias in (True, False):
        yield Sample(nn.LSTM, of(3, 4, proj_size=2, bias=bias), _SEQUENCE)
    yield Sample(nn.LSTM, of(3, 4, proj_size=2, num_layers=2, bidirectional=True), _SEQUENCE)


def _cells() -> Iterator[Sample]:
    state = normal(2, 4)
    for cell in (nn.RNNCell, nn.GRUCell):
        yield Sample(cell, of(3, 4), on(normal(2, 3), state))
        yield Sample(cell, of(3, 4, bias=False), on(normal(2, 3), state))
        yield Sample(cell, of(3, 4), on(normal(3), normal(4)), note="one example")
    yield Sample(nn.RNNCell, of(3, 4, nonlinearity="relu"), on(normal(2, 3), hx=state))
    yield Sample(nn.LSTMCell, of(3, 4), on(normal(2, 3), (state, state)))
    yield Sample(nn.LSTMCell, of(3, 4, bias=False), on(normal(2, 3), (state, state)))
    yield Sample(nn.LSTMCell, of(3, 4), on(normal(3), (normal(4), normal(4))), note="one example")
    yield Sample(nn.RNNCellBase, of(3, 4, True, 2), on(normal(2)), call=_weights_times)
    yield Sample(nn.RNNCellBase, of(3, 4, False, 2), on(normal(2)), call=_weights_times)


def _bases() -> Iterator[Sample]:
    for mode in ("RNN_TANH", "RNN_RELU", "GRU", "LSTM"):
        yield Sample(nn.RNNBase, of(mode, 3, 2), on(normal(2)), call=_listed_weights_times)
    for options in (of(bias=False), of(num_layers=2, bidirectional=True), of(proj_size=1)):
        arguments = of("LSTM", 3, 2, **options.kwargs)
        yield Sample(nn.RNNBase, arguments, on(normal(2)), call=_weights_times)


SAMPLES = (
    *_recurrent(nn.RNN),
    *_recurrent(nn.GRU),
    *_recurrent(nn.LSTM),
    Sample(nn.RNN, of(3, 2, nonlinearity="relu"), _SEQUENCE),
    *_with_state(),
    *_projected(),
    *_cells(),
    *_bases(),
)

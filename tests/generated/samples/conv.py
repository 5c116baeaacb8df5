"""torch/nn/modules/conv.py"""

from collections.abc import Iterator

from torch import nn

from samples.draw import normal
from samples.sample import Given, Sample, of, on

_SIZES = {1: (5,), 2: (5, 4), 3: (3, 4, 3)}
_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_LAZY_CONVOLUTIONS = {1: nn.LazyConv1d, 2: nn.LazyConv2d, 3: nn.LazyConv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_LAZY_TRANSPOSED = {1: nn.LazyConvTranspose1d, 2: nn.LazyConvTranspose2d, 3: nn.LazyConvTranspose3d}


def _image(channels: int, dimensions: int) -> Given:
    return on(normal(2, channels, *_SIZES[dimensions]))


def _convolutions(dimensions: int) -> Iterator[Sample]:
    layer, x = _CONVOLUTIONS[dimensions], _image(2, dimensions)
    yield Sample(layer, of(2, 3, 2), x)
    yield Sample(layer, of(2, 3, 2, bias=False), x)
    yield Sample(layer, of(2, 3, 2), on(normal(2, *_SIZES[dimensions])), note="one example")
    yield Sample(layer, of(2, 3, 2, stride=2, padding=1), x)
    yield Sample(layer, of(2, 3, 2, dilation=2), x)
    yield Sample(layer, of(2, 4, 2, groups=2), x)
    yield Sample(layer, of(2, 4, 1, groups=2, bias=False), x)
    yield Sample(layer, of(2, 3, 3, padding="same"), x)
    yield Sample(layer, of(2, 3, 2, padding="valid"), x)
    yield Sample(layer, of(2, 3, (2,) * dimensions, (1,) * dimensions), x)
    for padding_mode in ("zeros", "reflect", "replicate", "circular"):
        yield Sample(layer, of(2, 3, 3, padding=1, padding_mode=padding_mode), x)
    yield Sample(layer, of(2, 3, 3, padding="same", padding_mode="circular"), x)


def _transposed(dimensions: int) -> Iterator[Sample]:
    layer, x = _TRANSPOSED[dimensions], _image(2, dimensions)
    # Twice the input's size, which a stride of two gives with a kernel of two or, said so, three.
    doubled = [2 * size for size in _SIZES[dimensions]]
    sized = on(*x.args, output_size=doubled)
    yield Sample(layer, of(2, 3, 2), x)
    yield Sample(layer, of(2, 3, 2, bias=False), x)
    yield Sample(layer, of(2, 3, 2), on(normal(2, *_SIZES[dimensions])), note="one example")
    yield Sample(layer, of(2, 3, 2, stride=2, padding=1, output_padding=1), x)
    yield Sample(layer, of(2, 3, 3, stride=2, padding=1), sized, note="output_size")
    yield Sample(layer, of(2, 3, 2, dilation=2), x)
    yield Sample(layer, of(2, 4, 2, groups=2), x)


def _lazy(dimensions: int) -> Iterator[Sample]:
    x = _image(2, dimensions)
    for layer in (_LAZY_CONVOLUTIONS[dimensions], _LAZY_TRANSPOSED[dimensions]):
        yield Sample(layer, of(3, 2), x)
        yield Sample(layer, of(3, 2, bias=False), x)
        yield Sample(layer, of(4, 3, stride=2, padding=1, groups=2), x)
        yield Sample(layer, of(3, 2, dilation=2), x)
    reflecting = of(3, 3, padding=1, padding_mode="reflect")
    yield Sample(_LAZY_CONVOLUTIONS[dimensions], reflecting, x)
    sized = of(3, 3, stride=2, padding=1, output_padding=1)
    yield Sample(_LAZY_TRANSPOSED[dimensions], sized, x)


SAMPLES = tuple(
    sample
    for family in (_convolutions, _transposed, _lazy)
    for dimensions in (1, 2, 3)
    for sample in family(dimensions)
)

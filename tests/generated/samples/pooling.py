"""torch/nn/modules/pooling.py"""

from collections.abc import Iterator

from torch import nn
from torch.nn import functional as F

from samples.draw import normal, uniform
from samples.sample import Given, Later, Sample, of, on

_SHAPES = {1: (2, 2, 6), 2: (2, 2, 6, 5), 3: (1, 2, 4, 5, 4)}
_INPUTS = {dimensions: on(normal(*shape)) for dimensions, shape in _SHAPES.items()}
_MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_POWER = {1: nn.LPPool1d, 2: nn.LPPool2d, 3: nn.LPPool3d}
_ADAPTIVE_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
_ADAPTIVE_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_FRACTIONAL = {2: nn.FractionalMaxPool2d, 3: nn.FractionalMaxPool3d}
_UNPOOL = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}


def _max_pools(dimensions: int) -> Iterator[Sample]:
    layer, x = _MAX[dimensions], _INPUTS[dimensions]
    yield Sample(layer, of(2), x)
    yield Sample(layer, of(2, stride=1, padding=1), x)
    yield Sample(layer, of(2, dilation=2, stride=1), x)
    yield Sample(layer, of(3, stride=2, ceil_mode=True), x)
    yield Sample(layer, of(2, return_indices=True), x)


def _average_pools(dimensions: int) -> Iterator[Sample]:
    layer, x = _AVERAGE[dimensions], _INPUTS[dimensions]
    yield Sample(layer, of(2), x)
    yield Sample(layer, of(2, stride=1, padding=1), x)
    yield Sample(layer, of(2, padding=1, count_include_pad=False), x)
    yield Sample(layer, of(3, stride=2, ceil_mode=True), x)
    if dimensions > 1:
        yield Sample(layer, of(2, divisor_override=3), x)


def _power_pools(dimensions: int) -> Iterator[Sample]:
    # Positive, because the root of a negative sum of odd powers is not a number.
    layer, x = _POWER[dimensions], on(uniform(*_SHAPES[dimensions]))
    yield Sample(layer, of(2, 2), x)
    yield Sample(layer, of(3.0, 3, stride=2, ceil_mode=True), x)


def _adaptive_pools(dimensions: int) -> Iterator[Sample]:
    x = _INPUTS[dimensions]
    sizes = (3, 2, 2)[:dimensions]
    yield Sample(_ADAPTIVE_MAX[dimensions], of(2), x)
    yield Sample(_ADAPTIVE_MAX[dimensions], of(2, return_indices=True), x)
    yield Sample(_ADAPTIVE_MAX[dimensions], of(3), x)
    yield Sample(_ADAPTIVE_AVERAGE[dimensions], of(2), x)
    yield Sample(_ADAPTIVE_AVERAGE[dimensions], of(3), x)
    if dimensions > 1:
        yield Sample(_ADAPTIVE_MAX[dimensions], of(sizes), x)
        yield Sample(_ADAPTIVE_AVERAGE[dimensions], of((None, *sizes[1:])), x)


def _fractional_pools(dimensions: int) -> Iterator[Sample]:
    # Of three regions one is in the middle, the only one that chance moves.
    layer, x = _FRACTIONAL[dimensions], on(normal(2, 2, *(7, 6, 6)[:dimensions]))
    regions = uniform(2, 2, dimensions, grad=False)
    yield Sample(layer, of(2, output_size=3), x)
    yield Sample(layer, of(2, output_ratio=0.6), x)
    yield Sample(layer, of(2, output_size=3, return_indices=True), x)
    yield Sample(layer, of((3, 2, 2)[:dimensions], output_size=3), x)
    yield Sample(layer, of(2, output_size=3, _random_samples=regions), x)


def _pooled(shape: tuple[int, ...], **sizes: int) -> Given:
    """Values, and the places they came from, as a max pool of images of that shape returns them."""
    dimensions = len(shape) - 2
    pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[dimensions]
    image = normal(*shape, grad=False)
    values = Later(lambda g: pool(image.make(g), **sizes).requires_grad_())
    # The generator has moved on, so these are the places of another image's values; any will do.
    places = Later(lambda g: pool(image.make(g), **sizes, return_indices=True)[1])
    return on(values, places)


def _unpools(dimensions: int) -> Iterator[Sample]:
    layer, size = _UNPOOL[dimensions], _SHAPES[dimensions]
    by_two = _pooled(size, kernel_size=2).args
    by_three = _pooled(size, kernel_size=3, padding=1).args
    yield Sample(layer, of(2), on(*by_two, output_size=size), note="output_size")
    yield Sample(layer, of(3, padding=1), on(*by_three, output_size=size), note="output_size")
    yield Sample(layer, of(2, stride=3), on(*by_two))
    fours = _pooled((2, 2, 4, 4, 4)[: len(size)], kernel_size=3, padding=1)
    yield Sample(layer, of(3, padding=1), fours)


SAMPLES = tuple(
    sample
    for family, all_dimensions in (
        (_max_pools, (1, 2, 3)),
        (_average_pools, (1, 2, 3)),
        (_power_pools, (1, 2, 3)),
        (_adaptive_pools, (1, 2, 3)),
        (_fractional_pools, (2, 3)),
        (_unpools, (1, 2, 3)),
    )
    for dimensions in all_dimensions
    for sample in family(dimensions)
)

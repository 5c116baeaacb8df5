"""torch/nn/modules/padding.py"""

from collections.abc import Iterator

from torch import nn

from samples.draw import normal
from samples.sample import Given, Sample, of, on

_CONSTANT = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)

_LAYERS = {
    1: (nn.CircularPad1d, nn.ConstantPad1d, nn.ReflectionPad1d, nn.ReplicationPad1d, nn.ZeroPad1d),
    2: (nn.CircularPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ZeroPad2d),
    3: (nn.CircularPad3d, nn.ConstantPad3d, nn.ReflectionPad3d, nn.ReplicationPad3d, nn.ZeroPad3d),
}

_INPUTS = {1: on(normal(2, 3, 4)), 2: on(normal(2, 2, 3, 4)), 3: on(normal(1, 2, 3, 4, 3))}


def _arguments(layer: type[nn.Module], dimensions: int) -> Iterator[Given]:
    """The same amount everywhere, and a different one on each side."""
    each_side = (1, 2, 2, 1, 0, 1)[: 2 * dimensions]
    yield of(1, 0.5) if layer in _CONSTANT else of(1)
    yield of(each_side, -2.0) if layer in _CONSTANT else of(each_side)


SAMPLES = tuple(
    Sample(layer, arguments, _INPUTS[dimensions])
    for dimensions, layers in _LAYERS.items()
    for layer in layers
    for arguments in _arguments(layer, dimensions)
)

"""torch/nn/modules/batchnorm.py"""

from torch import nn

from samples.draw import normal
from samples.sample import Given, Sample, of, on

_SHAPES = {
    nn.BatchNorm1d: (4, 3),
    nn.BatchNorm2d: (4, 3, 2, 2),
    nn.BatchNorm3d: (3, 3, 2, 2, 2),
    nn.SyncBatchNorm: (4, 3, 2, 2),
}
_LAZY_SHAPES = {
    nn.LazyBatchNorm1d: (4, 3),
    nn.LazyBatchNorm2d: (4, 3, 2, 2),
    nn.LazyBatchNorm3d: (3, 3, 2, 2, 2),
}
_OPTIONS: tuple[Given, ...] = (
    of(),
    of(affine=False),
    of(track_running_stats=False),
    of(affine=False, track_running_stats=False),
    of(bias=False),
    of(momentum=None, eps=1e-3),
    of(momentum=0.3),
)

_PLAIN = tuple(
    Sample(layer, of(3, **options.kwargs), on(normal(*shape)))
    for layer, shape in _SHAPES.items()
    for options in _OPTIONS
)
_LAZY = tuple(
    Sample(layer, options, on(normal(*shape)))
    for layer, shape in _LAZY_SHAPES.items()
    for options in _OPTIONS
)

SAMPLES = (
    *_PLAIN,
    *_LAZY,
    Sample(nn.BatchNorm1d, of(3), on(normal(4, 3, 2)), note="sequences"),
)

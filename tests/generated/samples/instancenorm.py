"""torch/nn/modules/instancenorm.py"""

from torch import nn

from samples.draw import normal
from samples.sample import Sample, of, on

_SHAPES = {
    nn.InstanceNorm1d: (2, 3, 5),
    nn.InstanceNorm2d: (2, 3, 3, 2),
    nn.InstanceNorm3d: (2, 3, 2, 2, 2),
}
_LAZY_SHAPES = {
    nn.LazyInstanceNorm1d: (2, 3, 5),
    nn.LazyInstanceNorm2d: (2, 3, 3, 2),
    nn.LazyInstanceNorm3d: (2, 3, 2, 2, 2),
}
# Lazy ones do not learn it when no parameter has that size.
_NO_FEATURES = ("input's size at dim=1 does not match num_features",)
# All is said, for the lazy ones have other defaults.
_OPTIONS = (
    of(affine=False, track_running_stats=False),
    of(affine=True, track_running_stats=False),
    of(affine=True, track_running_stats=False, bias=False),
    of(affine=False, track_running_stats=True),
    of(affine=True, track_running_stats=True, momentum=0.3, eps=1e-3),
)

_BATCHED = tuple(
    Sample(layer, of(3, **options.kwargs), on(normal(*shape)))
    for layer, shape in _SHAPES.items()
    for options in _OPTIONS
)
_LAZY = tuple(
    Sample(layer, options, on(normal(*shape)), warns=_NO_FEATURES)
    for layer, shape in _LAZY_SHAPES.items()
    for options in _OPTIONS
)
_ONE_EXAMPLE = tuple(
    Sample(layer, of(3), on(normal(*shape[1:])), note="one example")
    for layer, shape in _SHAPES.items()
)

SAMPLES = (*_BATCHED, *_LAZY, *_ONE_EXAMPLE)
